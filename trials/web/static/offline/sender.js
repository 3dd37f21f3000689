// Brings reports and calls to the clinic: one sender at a time, each under its own key, until the
// server has said what became of it. Used by the pages and by the worker.
import {
  dropCall, dropEntry, forgetTrial, keepPages, readCalls, readEntries, readFact, saveCall, saveEntry,
  saveFact,
} from "./store.js";

const PATIENCE = 10_000; // milliseconds until a server that does not answer counts as away
const PATIENCE_WITH_PHOTO = 60_000;
const DAY = 86_400_000;
const CHECKED_AT_ONCE = 200;
const CALLS_CHECKED_AT_ONCE = 50;
const AWAY = [429, 502, 503, 504]; // too much at once, or a proxy whose server is down

// Nothing of this is a fault: it is tried again later.
export class Away extends Error {}
// This one cannot be taken now; others may.
export class Stuck extends Away {}
// The server does not know this phone (any more): a new link is needed.
export class ShutOut extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

const ask = async (address, options = {}, patience = PATIENCE) => {
  const given_up = new AbortController();
  const clock = setTimeout(() => given_up.abort(), patience);
  try {
    const answer = await fetch(address, {
      ...options,
      headers: { Accept: "application/json", ...options.headers },
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
      signal: given_up.signal,
    });
    const json = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
    return { status: answer.status, headers: answer.headers, body: json ? await answer.json() : null };
  } catch {
    throw new Away("no answer");
  } finally {
    clearTimeout(clock);
  }
};

// A wifi with a log-in page, a proxy: what answers is not our server, whatever its status. Only our
// own server's word shuts a phone out.
const checked = (answer) => {
  const reason = answer.body?.reason;
  if (answer.status === 401 && (reason === "unknown" || reason === "revoked")) throw new ShutOut(reason);
  if (AWAY.includes(answer.status)) throw new Away(String(answer.status));
  if (answer.body === null || answer.status >= 500 || answer.status === 401 || answer.status === 403) {
    throw new Stuck(String(answer.status));
  }
  return answer;
};

// A phone without space still sends what it has.
const keepFact = (name, value) => saveFact(name, value).catch(() => {});

const fetchPack = async (addresses) => {
  const before = Date.now();
  const answer = checked(await ask(addresses.pack));
  if (answer.status !== 200) throw new Away(String(answer.status));
  const pack = answer.body;
  const known = await readFact("pack");
  // Half-way between asking and getting the answer, both clocks were read at once.
  pack.ahead = Math.round(pack.now - (before + Date.now()) / 2);
  await keepFact("pack", pack);
  await keepFact("clinic", pack.clinic);
  await keepFact("access", "open");
  const kept = await readFact("edition");
  if ("caches" in globalThis && (kept !== pack.edition || known?.owner !== pack.owner)) {
    // Pages that could not be fetched now are fetched the next time.
    await keepPages(Object.values(pack.shells)).then(() => saveFact("edition", pack.edition), () => {});
  }
  return { pack, token: answer.headers.get("X-CSRFToken") };
};

const post = async (address, token, content) => checked(await ask(address, {
  method: "POST",
  headers: { "Content-Type": "application/json", "X-CSRFToken": token },
  body: JSON.stringify(content),
}));

const isWaiting = ({ state }) => state === "waiting";

// A server that was restored from a backup may have lost what it had acknowledged: offer it again.
const keptAs = (entry) => entry.receipt?.kept_as ?? entry.key;
const keysOf = (calls, kind) => calls.filter((call) => call.kind === kind).map(({ key }) => key);
const offerAgain = async (addresses, token, own) => {
  const settled = (await own(readEntries)).filter((entry) => !isWaiting(entry));
  const sent = settled.filter((entry) => entry.state === "sent").slice(-CHECKED_AT_ONCE);
  const calls = (await own(readCalls)).filter((call) => call.state === "sent").slice(-CALLS_CHECKED_AT_ONCE);
  const trials = [...new Set(settled.map(({ trial }) => trial))];
  if (!settled.length && !calls.length) return;
  const photographed = sent.filter((entry) => entry.photo_state === "sent");
  const answer = await post(addresses.check_kept, token, {
    keys: sent.map(keptAs), photos: photographed.map(keptAs),
    calls: keysOf(calls, "serious"), moods: keysOf(calls, "mood"),
    trials,
  });
  if (answer.status !== 200) return;
  const { unknown, unknown_photos, unknown_calls = [], erased = [] } = answer.body;
  // What the patient wanted removed at the clinic is removed here too.
  const isErased = ({ trial }) => erased.includes(trial);
  for (const entry of settled.filter(isErased)) await dropEntry(entry.key);
  for (const entry of sent.filter((one) => !isErased(one))) {
    const lost = unknown.includes(keptAs(entry));
    const photoLost = unknown_photos.includes(keptAs(entry));
    if (!lost && !photoLost) continue;
    await saveEntry({
      ...entry,
      ...(lost ? { state: "waiting", again: true } : {}),
      ...(photoLost ? { photo_state: "waiting" } : {}),
    });
  }
  for (const call of calls) {
    if (unknown_calls.includes(call.key)) await saveCall({ ...call, state: "waiting" });
  }
};

// The photo of a report that is safe already.
const sendPhoto = async (addresses, token, entry) => {
  const content = new FormData();
  content.set("key", keptAs(entry));
  content.set("trial", entry.trial);
  content.set("photo", entry.photo, "photo");
  const answer = checked(await ask(addresses.take_photo, {
    method: "POST", headers: { "X-CSRFToken": token }, body: content,
  }, PATIENCE_WITH_PHOTO));
  if (answer.status === 200) {
    await saveEntry({ ...entry, photo_state: "sent" });
  } else if (answer.body.reason) {
    await saveEntry({ ...entry, photo: undefined, photo_state: "refused", photo_problem: answer.body.error ?? "" });
  } else {
    throw new Stuck("token");
  }
};

const sendEntry = async (addresses, token, entry) => {
  const { key, trial, day, fields, written_at, ahead, known } = entry;
  const content = { key, trial, day, fields, written_at, ahead, known, sent_at: Date.now() };
  const answer = await post(addresses.take_entry, token, content);
  if (answer.status === 200) {
    await saveEntry({
      ...entry, state: "sent", problem: "", sent_at: Date.now(), receipt: answer.body, told: false,
    });
  } else if (answer.body.reason === "erased") {
    await dropEntry(key); // its trial's answers were removed, as the patient wanted
  } else if (answer.body.reason) {
    // Never to be taken as it is. It stays, and the patient is told.
    await saveEntry({ ...entry, state: "refused", problem: answer.body.error ?? "", errors: answer.body.errors });
  } else {
    throw new Stuck("token"); // one that ran out; the next run fetches another
  }
};

const sendCall = async (addresses, token, call) => {
  const { key, kind, trial, at, rule, fields } = call;
  const answer = kind === "mood"
    ? await post(addresses.take_mood, token, { key, trial, at, ...fields })
    : await post(addresses.take_serious, token, { key, trial, at, rule });
  if (answer.status === 200) {
    await saveCall({ ...call, state: "sent", sent_at: Date.now() });
  } else if (answer.body.reason) {
    // Nobody was told, and the patient must know.
    await saveCall({ ...call, state: "refused", problem: answer.body.error ?? "" });
  } else {
    throw new Stuck("token");
  }
};

const forgetOld = async (pack) => {
  const before = Date.now() - pack.kept_days * DAY;
  const isOld = ({ state, sent_at }) => state === "sent" && sent_at < before;
  for (const entry of (await readEntries()).filter(isOld)) await dropEntry(entry.key);
  for (const call of (await readCalls()).filter(isOld)) await dropCall(call.key);
};

// Do all of these, though some may be stuck. Returns what went wrong.
const each = async (things, work) => {
  const problems = [];
  for (const thing of things) {
    try {
      await work(thing);
    } catch (problem) {
      if (problem instanceof ShutOut) throw problem;
      if (problem instanceof Away && !(problem instanceof Stuck)) throw problem;
      problems.push(problem);
    }
  }
  return problems;
};

const photoWaits = (entry) => entry.state === "sent" && entry.photo_state === "waiting" && entry.photo;

const run = async (addresses) => {
  const { pack, token } = await fetchPack(addresses);
  // A phone that went to another patient keeps what the first one wrote, and sends none of it.
  const own = async (read) => (await read()).filter(({ owner }) => owner === pack.owner);
  const tried = new Set();
  const call = async (one) => {
    tried.add(one.key);
    await sendCall(addresses, token, one);
  };
  const calls = async () => (await own(readCalls)).filter((one) => isWaiting(one) && !tried.has(one.key));
  const steps = [
    async () => each(await calls(), call), // something serious goes ahead of every report
    () => each([own], (one) => offerAgain(addresses, token, one)),
    async () => each(await calls(), call),
    async () => each((await own(readEntries)).filter(isWaiting), (one) => sendEntry(addresses, token, one)),
    async () => each((await own(readEntries)).filter(photoWaits), (one) => sendPhoto(addresses, token, one)),
    () => each([pack], forgetOld),
  ];
  const problems = [];
  for (const step of steps) problems.push(...await step());
  if (problems.length) throw problems[0];
};

const alone = (work) => (navigator.locks ? navigator.locks.request("lenitive-sender", work) : work());

// Send what waits. Returns "sent", "away", "unknown" or "revoked"; throws nothing of these.
export const send = (addresses) => alone(async () => {
  try {
    await run(addresses);
    return "sent";
  } catch (problem) {
    if (problem instanceof ShutOut) {
      await keepFact("access", problem.reason);
      if (problem.reason === "revoked") await forgetTrial();
      return problem.reason;
    }
    // What the phone has no space to note is sent again later, under the same key.
    if (problem instanceof Away || problem instanceof DOMException) return "away";
    throw problem;
  } finally {
    if ("BroadcastChannel" in globalThis) {
      const channel = new BroadcastChannel("lenitive");
      channel.postMessage("changed");
      channel.close();
    }
  }
});
