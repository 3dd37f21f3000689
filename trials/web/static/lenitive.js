// Comfort for readers whose browser runs scripts. Every page works without this file.
import {
  Button, CharacterCount, ErrorSummary, PasswordInput, SkipLink, Tabs, createAll,
} from "./vendor/nhsuk-frontend-10.6.1/nhsuk.mjs";

document.body.classList.add("js-enabled", "nhsuk-frontend-supported");
for (const part of [Button, CharacterCount, ErrorSummary, PasswordInput, SkipLink, Tabs]) {
  createAll(part);
}

// A choice that asks for more shows its question while it is chosen. Not nhsuk's own script: that
// sets aria-expanded on radio buttons, where it is not allowed.
const revealing = document.querySelectorAll("input[data-reveals]");
const reveal = () => {
  for (const input of revealing) {
    const block = input.type === "radio" ? "radios" : "checkboxes";
    document.getElementById(input.dataset.reveals)
      ?.classList.toggle(`nhsuk-${block}__conditional--hidden`, !input.checked);
  }
};
if (revealing.length) {
  document.addEventListener("change", reveal);
  window.addEventListener("pageshow", reveal);
  reveal();
}

// A second tap on a slow network must not send the form again. The lock opens when the page is
// shown again from the browser's history, and after ten seconds in case nothing came back.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    form.setAttribute("aria-busy", "true");
    window.setTimeout(() => unlock(form), 10_000);
  });
}
const unlock = (form) => {
  delete form.dataset.sent;
  form.removeAttribute("aria-busy");
};
window.addEventListener("pageshow", (event) => {
  if (event.persisted) document.querySelectorAll("form[data-once]").forEach(unlock);
});

// Warn before leaving a changed form; sending it is not leaving.
for (const form of document.querySelectorAll("form[data-guard]")) {
  let changed = false;
  const warn = (event) => {
    if (changed) event.preventDefault();
  };
  form.addEventListener("input", () => {
    if (!changed) window.addEventListener("beforeunload", warn);
    changed = true;
  });
  form.addEventListener("submit", () => {
    changed = false;
    window.removeEventListener("beforeunload", warn);
  });
}

// Copy buttons: hidden until they can work (the clipboard needs a secure context).
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const text = button.parentElement.querySelector("[data-copy-text]");
    if (!text) continue;
    button.hidden = false;
    button.setAttribute("aria-live", "polite");
    const label = button.innerHTML;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text.textContent.trim());
      button.textContent = button.dataset.copied;
      window.setTimeout(() => { button.innerHTML = label; }, 2500);
    });
  }
}

// What a worker still computes: the part of the page that waits for it is fetched again.
const lookAgain = (part) => {
  window.setTimeout(async () => {
    let fresh = null;
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(window.location.href, { redirect: "error" });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        fresh = page.querySelector(`[aria-labelledby="${part.getAttribute("aria-labelledby")}"]`);
      } catch {
        fresh = null; // no network just now
      }
    }
    if (fresh) part.replaceWith(fresh);
    const next = fresh ?? part;
    if (next.dataset.refresh) lookAgain(next);
  }, 1000 * Number(part.dataset.refresh));
};
document.querySelectorAll("[data-refresh]").forEach(lookAgain);

// Print buttons.
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A form whose answer comes while typing: the page it leads to is asked, and its part is shown here.
for (const form of document.querySelectorAll("form[data-live]")) {
  const place = document.getElementById(form.dataset.live);
  let waiting;
  let asked = 0;
  const ask = async () => {
    const number = ++asked;
    const address = `${form.action}?${new URLSearchParams(new FormData(form))}`;
    const response = await fetch(address).catch(() => null);
    if (number !== asked) return true;
    if (!response?.ok) return false;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const answer = page.getElementById(form.dataset.live);
    if (answer) place.replaceChildren(...answer.childNodes);
    return Boolean(answer);
  };
  form.addEventListener("input", () => {
    window.clearTimeout(waiting);
    waiting = window.setTimeout(ask, 150);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!(await ask())) form.submit();
  });
}
