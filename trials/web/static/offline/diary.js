// The diary's form: a report is on this phone before anything is sent, and nothing is called
// kept before it is. Without this file the form is sent as forms always were.
import { findEntry, readEntries, readFact, saveEntry, dropEntry } from "./store.js";
import { showAdvice } from "./advice.js";
import { clearErrors, showErrors, showPanel, unlock } from "./form.js";
import { addresses, askBackgroundSync, copy, ownNews, paint, sendNow } from "./page.js";

const form = document.querySelector("form[data-diary]");
const SHORT_WAIT = 5_000; // milliseconds; then "saved on this phone" is the truth to tell

const chosen = (name) => new FormData(form).get(name) ?? "";

// What the server would ask for again (trials.domain.diary_form.check_answers): a report that waits
// for days must not come back then.
const missing = () => {
  const fields = [];
  if (!chosen("pain")) fields.push("pain");
  if (!chosen("any_side_effects")) fields.push("any_side_effects");
  if (chosen("any_side_effects") === "yes" && !chosen("bother")) fields.push("bother");
  if (chosen("any_side_effects") === "yes") {
    for (const number of [1, 2, 3]) {
      const [text, severity] = [chosen(`other_effect-${number}`).trim(), chosen(`other_severity-${number}`)];
      if (text && !severity) fields.push(`other_severity-${number}`);
      if ((severity && !text) || text.length > 80) fields.push(`other_effect-${number}`);
    }
  }
  if (!chosen("intake")) fields.push("intake");
  if (chosen("intake_words").trim().length > 200) fields.push("intake_words");
  for (const end of ["", "-2", "-3", "-4"]) {
    const more = chosen(`more_doses${end}`).trim();
    const asked = ["", "more"].includes(chosen(`rescue_doses${end}`)) && (more || chosen(`rescue_doses${end}`));
    if (asked && !(/^\d{1,2}$/.test(more) && Number(more) <= 50)) fields.push(`rescue_doses${end}`);
  }
  if (chosen("note").trim().length > 500) fields.push("note");
  return fields;
};

const sameFields = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// The key of the form, unless it was used for other answers or now has a photo: then this is a
// correction.
const keyFor = async (fields, photo) => {
  const before = await findEntry(form.elements.key.value);
  if (before && (photo || !sameFields(before.fields, fields))) {
    form.elements.key.value = crypto.randomUUID();
  }
  return form.elements.key.value;
};

// A photo as the clinic needs it: upright and no larger than a page. Written anew it holds no
// place and no name; the server does the same once more.
const LONGEST_SIDE = 1600;
const shrunk = async (file) => {
  if (!(file instanceof Blob) || !file.size) return null;
  try {
    const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(picture.width * scale);
    canvas.height = Math.round(picture.height * scale);
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return await new Promise((resolve) => {
      canvas.toBlob((blob) => resolve(blob ?? file), "image/jpeg", 0.82);
    });
  } catch {
    return file; // what it is, the server says
  }
};

const makeEntry = async () => {
  const fields = Object.fromEntries(new FormData(form));
  const photo = await shrunk(fields.photo);
  delete fields.photo;
  delete fields.csrf_token;
  delete fields.key;
  const { owner, trial, day, dayName } = form.dataset;
  const [pack, all] = [await readFact("pack"), await readEntries()];
  const key = await keyFor(fields, photo);
  const other = all.filter((entry) => entry.key !== key && entry.day === day && entry.owner === owner
    && entry.state === "waiting");
  return {
    key, owner, trial, day, day_name: dayName, fields,
    written_at: Date.now(),
    ahead: pack?.ahead ?? null,
    known: Number(form.dataset.known) + other.length,
    state: "waiting",
    ...(photo ? { photo, photo_state: "waiting" } : {}),
  };
};

const toThanks = (entry) => {
  location.assign(`/diary/${entry.day}/thanks?trial=${entry.trial}&key=${entry.key}`);
};

const showOutcome = async (key) => {
  const entry = await findEntry(key);
  if (!entry) {
    location.assign("/today"); // of a trial whose answers were removed: that page says how it stands
    return true;
  }
  if (entry.state === "sent") {
    await saveEntry({ ...entry, told: true });
    toThanks(entry);
    return true;
  }
  if (entry.state === "refused" && entry.errors && form.isConnected) {
    await dropEntry(key); // it still stands in the form
    unlock(form);
    clearErrors(form);
    showErrors(form, Object.keys(entry.errors), entry.errors);
    return true;
  }
  if (entry.state === "refused") {
    showPanel("diary-refused", { day: entry.day_name, problem: entry.problem });
    return true;
  }
  return false;
};

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

// Nothing could be kept here. If there is a network the report can still go the old way.
const withoutStore = async () => {
  try {
    const answer = await fetch(addresses.pack, { cache: "no-store", headers: { Accept: "application/json" } });
    if (answer.ok && form.getAttribute("action")) {
      form.elements.csrf_token.value = answer.headers.get("X-CSRFToken");
      form.submit();
      return;
    }
  } catch {
    // no network either
  }
  unlock(form);
  document.querySelector("[data-full]")?.remove();
  const told = copy("diary-full");
  told.firstElementChild.dataset.full = "";
  form.querySelector("button[type=submit]").before(told);
  form.querySelector("[data-full]").focus();
};

const submit = async () => {
  clearErrors(form);
  // First of all, and whatever is missing; without a pack or a store there is none to show.
  await showAdvice(Object.fromEntries(new FormData(form)), form.dataset.trial).catch(() => {});
  const fields = missing();
  if (fields.length) {
    unlock(form);
    showErrors(form, fields);
    return;
  }
  let entry;
  try {
    entry = await makeEntry();
    ownNews.add(entry.key);
    const before = await findEntry(entry.key);
    if (!before || before.state === "refused") await saveEntry(entry);
  } catch {
    await withoutStore();
    return;
  }
  navigator.storage?.persist?.(); // ask the browser not to tidy this away
  const sending = sendNow().catch(() => "away");
  await Promise.race([sending, pause(SHORT_WAIT)]);
  if (await showOutcome(entry.key)) return;
  await askBackgroundSync();
  showPanel("diary-saved", { day: entry.day_name });
  await paint();
  if ("BroadcastChannel" in globalThis) {
    // It may be sent while the patient still looks.
    new BroadcastChannel("lenitive").addEventListener("message", () => showOutcome(entry.key));
  }
  sending.then(() => showOutcome(entry.key));
};

if (form && "indexedDB" in globalThis) {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented) return; // a second tap (lenitive.js)
    event.preventDefault();
    submit();
  });
}
