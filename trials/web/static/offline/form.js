// What the forms share that are on this phone before anything is sent: what is missing is said at its
// question, and what became of the form stands in its place.
import { copy } from "./page.js";

export const clearErrors = (form) => {
  document.querySelector("[data-missing]")?.remove();
  for (const line of form.querySelectorAll("[data-error-line]")) line.remove();
  for (const part of form.querySelectorAll(".lt-scale--error")) {
    part.classList.remove("lt-scale--error");
    part.removeAttribute("aria-describedby");
  }
};

// Below advice, if there is any: that is to be read first.
export const showErrors = (form, fields, sentences = {}) => {
  const summary = copy("form-missing");
  for (const link of summary.querySelectorAll("a")) {
    const name = link.hash.slice(1);
    if (!fields.includes(name)) {
      link.closest("li").remove();
      continue;
    }
    if (sentences[name]) link.textContent = sentences[name];
    const group = document.getElementById(name)?.closest("fieldset");
    if (!group) continue;
    const line = copy("form-error", { sentence: link.textContent });
    line.firstElementChild.id = `${name}-error`;
    group.classList.add("lt-scale--error");
    group.setAttribute("aria-describedby", `${name}-error`);
    group.querySelector("legend").after(line);
  }
  const box = document.createElement("div");
  box.dataset.missing = "";
  box.append(summary);
  const main = form.closest("main");
  const advice = main.querySelector("[data-advice-box]");
  if (advice) advice.after(box);
  else main.prepend(box);
  if (!document.title.startsWith(form.dataset.error)) {
    document.title = `${form.dataset.error} ${document.title}`;
  }
  if (advice) return;
  const head = box.firstElementChild;
  head.tabIndex = -1;
  head.focus();
  head.scrollIntoView({ block: "start" });
};

// The form can be sent again (lenitive.js locks it against a second tap).
export const unlock = (form) => {
  delete form.dataset.sent;
  form.removeAttribute("aria-busy");
};

// One of the page's templates instead of all that the page shows; advice stays until the page is left.
export const showPanel = (id, values) => {
  const main = document.querySelector("main");
  const state = document.getElementById("offline");
  const panel = copy(id, values);
  const stays = (part) => part.matches("template, [data-advice-box]") || part.contains(state);
  for (const part of [...main.children]) {
    if (!stays(part)) part.remove(); // what stays is not moved: it may have the focus
  }
  const advice = main.querySelector("[data-advice-box]");
  if (advice) {
    advice.after(panel);
    return;
  }
  main.prepend(panel);
  const title = main.querySelector("h1") ?? main.firstElementChild;
  title.tabIndex = -1;
  title.focus();
  window.scrollTo(0, 0);
};
