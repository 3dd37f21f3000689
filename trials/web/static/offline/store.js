// What this phone keeps: reports until they are safe with the clinic, and the pack of the next
// days. In IndexedDB, because page and worker both reach it and it outlives both.
const NAME = "lenitive";
const VERSION = 1; // an older database is brought up to date below, its reports untouched

const open = () => new Promise((resolve, reject) => {
  const asked = indexedDB.open(NAME, VERSION);
  asked.onupgradeneeded = () => {
    const database = asked.result;
    if (!database.objectStoreNames.contains("entries")) {
      database.createObjectStore("entries", { keyPath: "key" });
    }
    if (!database.objectStoreNames.contains("facts")) database.createObjectStore("facts");
  };
  asked.onsuccess = () => {
    // A newer version of the app, in another tab, must not wait for this one to be closed.
    asked.result.onversionchange = () => asked.result.close();
    resolve(asked.result);
  };
  asked.onerror = () => reject(asked.error);
});

// One transaction; settled when it is on the disk ("strict"), not when it is merely asked for.
const inStore = async (name, mode, work) => {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(name, mode, { durability: "strict" });
      const asked = work(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(asked?.result);
      transaction.onerror = () => reject(transaction.error ?? asked?.error);
      transaction.onabort = () => reject(transaction.error ?? asked?.error);
    });
  } finally {
    database.close();
  }
};

export const saveEntry = (entry) => inStore("entries", "readwrite", (store) => store.put(entry));
export const findEntry = (key) => inStore("entries", "readonly", (store) => store.get(key));
export const dropEntry = (key) => inStore("entries", "readwrite", (store) => store.delete(key));
export const readEntries = async () => {
  const all = await inStore("entries", "readonly", (store) => store.getAll());
  return all.sort((a, b) => a.written_at - b.written_at);
};
export const saveFact = (name, value) =>
  inStore("facts", "readwrite", (store) => store.put(value, name));
export const readFact = (name) => inStore("facts", "readonly", (store) => store.get(name));
export const dropFact = (name) => inStore("facts", "readwrite", (store) => store.delete(name));

// Calls: what was pressed on the list of serious things, and answers about mood. Like reports they
// are "waiting", "sent" or "refused". Each under a name of its own, so that page and worker do not
// write over one another.
const CALL = "call:";
export const saveCall = (call) => saveFact(`${CALL}${call.key}`, call);
export const findCall = (key) => readFact(`${CALL}${key}`);
export const dropCall = (key) => dropFact(`${CALL}${key}`);
export const readCalls = async () => {
  const all = await inStore("facts", "readonly", (store) =>
    store.getAll(IDBKeyRange.bound(CALL, `${CALL}\uffff`)));
  const told = all.map((call) => ({ kind: "serious", state: "waiting", ...call })); // of an older version
  return told.sort((a, b) => a.at - b.at);
};

// Pages of a patient, as kept for times without a network. The files that every page needs are
// kept apart, by the worker: they are nobody's.
export const PAGES = "lenitive-pages";

export const keepPages = async (addresses) => {
  const cache = await caches.open(PAGES);
  for (const kept of await cache.keys()) {
    const { pathname, search } = new URL(kept.url);
    if (!addresses.includes(pathname + search)) await cache.delete(kept);
  }
  await Promise.all(addresses.map(async (address) => {
    const answer = await fetch(address, { credentials: "same-origin", redirect: "error" });
    if (answer.ok) await cache.put(address, answer);
    else await cache.delete(address);
  }));
};

// After leaving, or when this phone was shut out: nothing of the trial stays, except what
// nobody has yet, and whom to call about it.
export const forgetTrial = async () => {
  if ("caches" in globalThis) await caches.delete(PAGES);
  const pack = await readFact("pack");
  if (pack) {
    await saveFact("clinic", pack.clinic);
    await dropFact("pack");
  }
  for (const entry of await readEntries()) {
    if (entry.state === "sent" && entry.photo_state !== "waiting") await dropEntry(entry.key);
  }
  for (const call of await readCalls()) {
    if (call.state === "sent") await dropCall(call.key);
  }
};
