// Brings reports to the clinic: one sender at a time, each report under its own key, until the
// server has said what became of it. Used by the pages and by the worker.
import {
  dropCall, dropEntry, forgetTrial, keepPages, readCalls, readEntries, readFact, saveEntry, saveFact,
} from "./store.js";

const PATIENCE = 10_000; // milliseconds until a server that does not answer counts as away
const PATIENCE_WITH_PHOTO = 60_000;
const DAY = 86_400_000;
const CHECKED_AT_ONCE = 200;

// Nothing of this is a fault: it is tried again later.
export class Away extends Error {}
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

// A wifi with a log-in page, a proxy whose server is down: what answers is not our server.
const checked = (answer) => {
  if (answer.status === 401 || answer.status === 403) {
    throw new ShutOut(answer.body?.reason ?? "unknown");
  }
  if (answer.body === null || answer.status >= 500 || answer.status === 429) {
    throw new Away(String(answer.status));
  }
  return answer;
};

const fetchPack = async (addresses) => {
  const before = Date.now();
  const answer = checked(await ask(addresses.pack));
  if (answer.status !== 200) throw new Away(String(answer.status));
  const pack = answer.body;
  const known = await readFact("pack");
  // Half-way between asking and getting the answer, both clocks were read at once.
  pack.ahead = Math.round(pack.now - (before + Date.now()) / 2);
  await saveFact("pack", pack);
  await saveFact("clinic", pack.clinic);
  await saveFact("access", "open");
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

// A server that was restored from a backup may have lost what it had acknowledged: offer it again.
const keptAs = (entry) => entry.receipt?.kept_as ?? entry.key;
const offerAgain = async (addresses, token, own) => {
  const sent = own.filter((entry) => entry.state === "sent").slice(-CHECKED_AT_ONCE);
  if (!sent.length) return;
  const photographed = sent.filter((entry) => entry.photo_state === "sent");
  const answer = await post(addresses.check_kept, token, {
    keys: sent.map(keptAs), photos: photographed.map(keptAs),
  });
  if (answer.status !== 200) return;
  for (const entry of sent) {
    const lost = answer.body.unknown.includes(keptAs(entry));
    const photoLost = answer.body.unknown_photos.includes(keptAs(entry));
    if (!lost && !photoLost) continue;
    await saveEntry({
      ...entry,
      ...(lost ? { state: "waiting", again: true } : {}),
      ...(photoLost ? { photo_state: "waiting" } : {}),
    });
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
    throw new Away("token");
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
  } else if (answer.body.reason) {
    // Never to be taken as it is. It stays, and the patient is told.
    await saveEntry({ ...entry, state: "refused", problem: answer.body.error ?? "", errors: answer.body.errors });
  } else {
    throw new Away("token"); // one that ran out; the next run fetches another
  }
};

// Something serious goes ahead of every report.
const sendCalls = async (addresses, token, owner) => {
  const own = (await readCalls()).filter((call) => call.owner === owner);
  for (const { key, rule, trial, at } of own) {
    const answer = await post(addresses.take_serious, token, { rule, trial, at });
    if (answer.status === 200 || answer.body.reason) await dropCall(key);
  }
};

const forgetOld = async (pack) => {
  for (const entry of await readEntries()) {
    const old = entry.sent_at < Date.now() - pack.kept_days * DAY;
    if (entry.state === "sent" && old) await dropEntry(entry.key);
  }
};

const run = async (addresses) => {
  const { pack, token } = await fetchPack(addresses);
  // A phone that went to another patient keeps the reports of the first, and sends none of them.
  const own = (await readEntries()).filter((entry) => entry.owner === pack.owner);
  await sendCalls(addresses, token, pack.owner);
  await offerAgain(addresses, token, own);
  const waiting = (await readEntries())
    .filter((entry) => entry.owner === pack.owner && entry.state === "waiting");
  for (const entry of waiting) await sendEntry(addresses, token, entry);
  const photos = (await readEntries()).filter((entry) => entry.owner === pack.owner
    && entry.state === "sent" && entry.photo_state === "waiting" && entry.photo);
  for (const entry of photos) await sendPhoto(addresses, token, entry);
  await forgetOld(pack);
};

const alone = (work) => (navigator.locks ? navigator.locks.request("lenitive-sender", work) : work());

// Send what waits. Returns "sent", "away", "unknown" or "revoked"; throws nothing of these.
export const send = (addresses) => alone(async () => {
  try {
    await run(addresses);
    return "sent";
  } catch (problem) {
    if (problem instanceof ShutOut) {
      await saveFact("access", problem.reason);
      if (problem.reason === "revoked") await forgetTrial();
      return problem.reason;
    }
    if (problem instanceof Away) return "away";
    throw problem;
  } finally {
    if ("BroadcastChannel" in globalThis) {
      const channel = new BroadcastChannel("lenitive");
      channel.postMessage("changed");
      channel.close();
    }
  }
});
