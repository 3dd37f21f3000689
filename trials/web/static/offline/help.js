// The list of serious things: what to do is shown at once, from the page itself. Telling the clinic
// comes second; without a network it waits on this phone like a report.
import { readCalls, saveCall } from "./store.js";
import { addresses, askBackgroundSync, copy, sendNow } from "./page.js";

const place = document.querySelector("[data-help]");
const shown = place?.querySelector("[data-shown]");

const say = (name) => {
  shown.querySelector(".lt-told")?.remove();
  shown.append(copy(`serious-${name}`));
};

const tell = async (rule) => {
  const key = crypto.randomUUID();
  const { owner, trial } = place.dataset;
  await saveCall({ key, owner, trial, rule, at: Date.now() });
  await sendNow().catch(() => "away");
  const waits = (await readCalls()).some((call) => call.key === key);
  say(waits ? "away" : "told");
  if (waits) await askBackgroundSync();
};

// Nothing could be kept here. If there is a network the form can still go the old way.
const withoutStore = async (form) => {
  try {
    const answer = await fetch(addresses.pack, { cache: "no-store", headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error("no clinic");
    form.elements.csrf_token.value = answer.headers.get("X-CSRFToken");
    const pressed = Object.assign(document.createElement("input"), {
      type: "hidden", name: "rule", value: form.dataset.serious,
    });
    form.append(pressed); // the button is not sent when a script sends the form
    form.submit();
  } catch {
    say("away");
  }
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
