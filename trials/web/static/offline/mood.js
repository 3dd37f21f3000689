// The two questions about mood: whoever does not say "no" reads whom to call at once. The answers are on
// this phone before they are sent, and wait here without a network.
import { saveCall } from "./store.js";
import { addresses, copy } from "./page.js";
import { follow, sendOldWay } from "./calls.js";
import { clearErrors, showErrors, showPanel, unlock } from "./form.js";

const form = document.querySelector("form[data-mood]");
const NO_THOUGHTS = "no";

const showAdvice = (isNeeded) => {
  const main = form.closest("main");
  main.querySelector("[data-advice-box]")?.remove();
  if (!isNeeded) return;
  const place = document.createElement("div");
  place.dataset.adviceBox = "";
  place.append(copy("mood-advice"));
  main.prepend(place);
  place.querySelector("[data-advice]").focus();
  window.scrollTo(0, 0);
};

// In place of the form, below the advice: how it stands with the clinic.
const panelFor = (outcome, isNeeded) => {
  if (outcome === "told") return isNeeded ? "mood-told" : "mood-kept";
  if (outcome === "away") return isNeeded ? "mood-away" : "mood-saved";
  return `mood-${outcome}`;
};

const showCall = (name) => {
  form.parentElement.querySelector(":scope > .lt-told")?.remove();
  form.before(copy(`call-${name}`));
};

const submit = async () => {
  clearErrors(form);
  const sent = new FormData(form);
  const fields = { low: sent.get("low") ?? "", thoughts: sent.get("thoughts") ?? "" };
  const isNeeded = fields.thoughts !== "" && fields.thoughts !== NO_THOUGHTS;
  showAdvice(isNeeded);
  const missing = Object.keys(fields).filter((name) => !fields[name]);
  if (missing.length) {
    unlock(form);
    showErrors(form, missing);
    return;
  }
  // Sent from here a form is never sent again: other answers, by the browser's history, are others.
  const key = crypto.randomUUID();
  const { owner } = form.dataset;
  // Without a network this may be the page of the main trial, though another one was asked for.
  const trial = new URLSearchParams(location.search).get("trial") ?? form.dataset.trial;
  try {
    await saveCall({ key, kind: "mood", state: "waiting", owner, trial, fields, at: Date.now() });
  } catch {
    if (await sendOldWay(form, addresses.pack)) return;
    unlock(form);
    showCall("lost");
    return;
  }
  if (isNeeded) showCall("telling");
  await follow(key, (outcome) => showPanel(panelFor(outcome, isNeeded)));
};

if (form && "indexedDB" in globalThis) {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return; // a second tap (lenitive.js)
    event.preventDefault();
    submit();
  });
}
