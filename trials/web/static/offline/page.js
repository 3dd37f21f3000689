// On every page of the patient: installs the worker, sends what waits, and says how it stands.
// Without script, or in a browser without these abilities, all pages work as they are.
import {
  dropCall, dropEntry, findEntry, forgetTrial, readCalls, readEntries, readFact, saveEntry,
} from "./store.js";
import { send } from "./sender.js";

const place = document.getElementById("offline");
const FIRST_PAUSE = 5_000;
const LONGEST_PAUSE = 300_000;

export const addresses = place && {
  pack: place.dataset.pack,
  check_kept: place.dataset.checkKept,
  take_entry: place.dataset.takeEntry,
  take_photo: place.dataset.takePhoto,
  take_serious: place.dataset.takeSerious,
  take_mood: place.dataset.takeMood,
};

export const fill = (root, values) => {
  for (const slot of root.querySelectorAll("[data-slot]")) {
    const value = values[slot.dataset.slot];
    if (value !== undefined) slot.textContent = value;
  }
  const links = "phone" in values ? root.querySelectorAll("a[data-phone]") : [];
  for (const link of links) {
    link.hidden = !values.phone;
    if (values.phone) link.href = `tel:${values.phone.replace(/[^+0-9]/g, "")}`;
  }
  return root;
};

// A copy of one of the page's templates, its gaps filled in.
export const copy = (id, values = {}) =>
  fill(document.getElementById(id).content.cloneNode(true), values);

const line = (name) => place.querySelector(`[data-line="${name}"]`);

const showRefused = (refused) => {
  const list = line("refused");
  list.hidden = !refused.length;
  list.replaceChildren(...refused.map((entry) => {
    const part = copy("offline-refused", { day: entry.day_name, problem: entry.problem });
    part.querySelector("button").addEventListener("click", async () => {
      await dropEntry(entry.key);
      await paint();
    });
    return part;
  }));
};

// A photo that is none: its report is kept, and that is said until it was read.
const showPhotos = (entries) => {
  const refused = entries.filter((entry) => entry.photo_state === "refused");
  const list = line("photos");
  list.hidden = !refused.length;
  list.replaceChildren(...refused.map((entry) => {
    const part = copy("offline-photo", { day: entry.day_name, problem: entry.photo_problem });
    part.querySelector("button").addEventListener("click", async () => {
      await saveEntry({ ...entry, photo: undefined, photo_state: "" });
      await paint();
    });
    return part;
  }));
};

// A call that was not taken: nobody knows, and that stands here until it was read.
const showLost = (calls) => {
  const list = line("lost");
  list.hidden = !calls.length;
  list.replaceChildren(...calls.map((call) => {
    const part = copy("offline-lost", { problem: call.problem });
    part.querySelector("button").addEventListener("click", async () => {
      await dropCall(call.key);
      await paint();
    });
    return part;
  }));
};

// Reports of this very page: it shows their page of thanks, and no line is needed.
export const ownNews = new Set();

// Reports that arrived while no page of thanks was shown: said once.
const showArrived = async (entries) => {
  const news = entries.filter((entry) => entry.state === "sent" && entry.told === false
    && !ownNews.has(entry.key));
  if (!news.length || document.visibilityState === "hidden") return;
  const list = line("arrived");
  list.hidden = false;
  list.append(...news.map((entry) => copy("offline-arrived", { sentence: entry.receipt.sentence })));
  for (const entry of news) await saveEntry({ ...entry, told: true });
};

// One at a time: several tabs and the sender all say that something changed.
let painting = Promise.resolve(0);
export const paint = () => {
  painting = painting.then(paintOnce, paintOnce);
  return painting;
};

const paintOnce = async () => {
  const entries = await readEntries();
  const pack = await readFact("pack");
  const clinic = (await readFact("clinic")) ?? { name: "", phone: "" };
  const access = await readFact("access");
  const waiting = entries.filter((entry) => entry.state === "waiting");
  const foreign = pack ? waiting.filter((entry) => entry.owner !== pack.owner) : [];
  const own = waiting.length - foreign.length;
  const isShut = access === "revoked" || access === "unknown";
  const shut = own > 0 && isShut ? access : "";
  line("one").hidden = own !== 1 || shut !== "";
  line("many").hidden = own < 2 || shut !== "";
  line("unknown").hidden = shut !== "unknown";
  line("revoked").hidden = shut !== "revoked";
  line("foreign").hidden = !foreign.length;
  const calls = (await readCalls()).filter((call) => !pack || call.owner === pack.owner);
  const waitingCalls = calls.filter((call) => call.state === "waiting").length;
  line("calls").hidden = !waitingCalls;
  line("calls").querySelector("[data-when=away]").hidden = isShut;
  line("calls").querySelector("[data-when=shut]").hidden = !isShut;
  showLost(calls.filter((call) => call.state === "refused"));
  fill(place, { count: own, clinic: clinic.name, phone: clinic.phone });
  showRefused(entries.filter((entry) => entry.state === "refused"));
  showPhotos(entries);
  await showArrived(entries);
  const photos = entries.filter((entry) => entry.state === "sent" && entry.photo_state === "waiting");
  return own + photos.length + waitingCalls;
};

let pause = FIRST_PAUSE;
let waker = 0;

// Send now, and again later while something waits: sooner when the browser says that there is a
// network or that somebody looks at the page.
export const sendNow = async () => {
  clearTimeout(waker);
  const outcome = await send(addresses);
  const left = await paint();
  if (left && outcome === "away") {
    waker = setTimeout(sendNow, pause * (0.5 + Math.random())); // not all phones at once
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  } else {
    pause = FIRST_PAUSE;
  }
  return outcome;
};

export const askBackgroundSync = async () => {
  const registration = await navigator.serviceWorker?.getRegistration();
  await registration?.sync?.register("reports").catch(() => {}); // not everybody allows it
};

const install = async () => {
  if (!("serviceWorker" in navigator)) return;
  try {
    await navigator.serviceWorker.register(place.dataset.worker, {
      type: "module", scope: "/", updateViaCache: "none",
    });
  } catch {
    // A browser without module workers: reports are still kept and sent by the pages.
  }
};

// Leaving this device: reports that nobody has yet are sent first, or stay, and that is said.
const guardLeaving = () => {
  const form = document.querySelector("form[data-leave]");
  form?.addEventListener("submit", async (event) => {
    if (form.dataset.ready) return;
    event.preventDefault();
    const outcome = await send(addresses);
    const left = await paint();
    if (left && outcome !== "sent" && !form.dataset.warned) {
      form.dataset.warned = "yes";
      document.querySelector("[data-leave-warning]").hidden = false;
      return;
    }
    await forgetTrial();
    form.dataset.ready = "yes";
    form.submit();
  });
};

// A page of thanks that was opened tells about this report; the line above need not.
const noteThanks = async () => {
  const key = new URLSearchParams(location.search).get("key");
  const entry = key && await findEntry(key);
  if (entry && entry.told === false) await saveEntry({ ...entry, told: true });
};

if (place && "indexedDB" in globalThis) {
  install();
  guardLeaving();
  noteThanks().then(paint).then(sendNow);
  window.addEventListener("online", sendNow);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") sendNow();
  });
  if ("BroadcastChannel" in globalThis) {
    new BroadcastChannel("lenitive").addEventListener("message", paint);
  }
}
