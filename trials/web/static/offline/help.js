// The list of serious things: what to do is shown at once, from the page itself. Telling the clinic
// comes second; without a network it waits on this phone like a report.
import { saveCall } from "./store.js";
import { addresses, copy } from "./page.js";
import { follow, sendOldWay } from "./calls.js";

const place = document.querySelector("[data-help]");
const shown = place?.querySelector("[data-shown]");

const say = (name) => {
  shown.querySelector(".lt-told")?.remove();
  shown.append(copy(`call-${name}`));
};

let pressed = ""; // the key of the last one: what becomes of it is said

const tell = async (rule) => {
  const key = crypto.randomUUID();
  pressed = key;
  const { owner, trial } = place.dataset;
  await saveCall({ key, kind: "serious", state: "waiting", owner, trial, rule, at: Date.now() });
  await follow(key, (name) => { if (pressed === key) say(name); });
};

// Nothing could be kept here. If there is a network the form can still go the old way.
const withoutStore = async (form) => {
  const button = Object.assign(document.createElement("input"), {
    type: "hidden", name: "rule", value: form.dataset.serious,
  });
  form.append(button); // the real one is not sent when a script sends the form
  if (await sendOldWay(form, addresses.pack)) return;
  button.remove();
  say("lost");
};

if (place && "indexedDB" in globalThis) {
  for (const form of place.querySelectorAll("form[data-serious]")) {
    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return; // a second tap (lenitive.js)
      event.preventDefault();
      shown.replaceChildren(copy(`advice-${form.dataset.serious}`));
      say("telling");
      shown.querySelector("[data-advice]").focus();
      window.scrollTo(0, 0);
      tell(form.dataset.serious).catch(() => withoutStore(form)).finally(() => {
        delete form.dataset.sent;
        form.removeAttribute("aria-busy");
      });
    });
  }
}
