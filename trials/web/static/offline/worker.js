// Stands between the patient's pages and the network: the network first, and what was kept when
// there is none. It touches no page of the staff, no form, and keeps no page that shows an answer.
import { PAGES, readFact } from "./store.js";
import { send } from "./sender.js";

const PATIENCE = 6_000; // milliseconds; then the form in hand is better than the page on its way
const FILES = "lenitive-files-";

export const start = (told) => {
  const files = FILES + told.version;

  const fromNetwork = async (request, patience) => {
    const given_up = new AbortController();
    const clock = setTimeout(() => given_up.abort(), patience);
    try {
      const answer = await fetch(request, { signal: given_up.signal });
      // A proxy that answers for a server that is down.
      return [502, 503, 504].includes(answer.status) ? null : answer;
    } catch {
      return null;
    } finally {
      clearTimeout(clock);
    }
  };

  const shellOf = async (url) => {
    if (url.pathname === "/mood") return told.shells.mood;
    if (/^\/(help-now|mood)/.test(url.pathname)) return told.shells.help;
    const pack = await readFact("pack");
    // Another trial than the main one, or a list's page.
    if (url.search && url.search !== `?trial=${pack?.trial}`) return told.shells.away;
    if (url.pathname === "/today") return told.shells.today;
    if (/^\/diary\/\d{4}-\d\d-\d\d$/.test(url.pathname)) {
      const day = pack?.days.find((item) => url.pathname.endsWith(item.day));
      if (!day) return told.shells.today;
      return Date.now() + pack.ahead < day.ends ? told.shells.diary : told.shells.earlier;
    }
    return told.shells.away;
  };

  const page = async (request) => {
    const answer = await fromNetwork(request, PATIENCE);
    if (answer) return answer;
    const cache = await caches.open(PAGES);
    const shell = await shellOf(new URL(request.url));
    const next = shell === told.shells.mood ? told.shells.help : told.shells.away;
    const kept = await cache.match(shell) ?? await cache.match(next) ?? await cache.match(told.shells.away);
    return kept ?? Response.error();
  };

  const file = async (request) => {
    const cache = await caches.open(files);
    return await fromNetwork(request, PATIENCE) ?? await cache.match(request, { ignoreSearch: true })
      ?? Response.error();
  };

  self.addEventListener("install", (event) => {
    event.waitUntil((async () => {
      const cache = await caches.open(files);
      await cache.addAll(told.files.map((address) => new Request(address, { cache: "reload" })));
      await self.skipWaiting(); // reports are not in here: nothing is lost by taking over at once
    })());
  });

  self.addEventListener("activate", (event) => {
    event.waitUntil((async () => {
      const names = await caches.keys();
      const old = names.filter((name) => name.startsWith(FILES) && name !== files);
      await Promise.all(old.map((name) => caches.delete(name)));
      await self.clients.claim();
    })());
  });

  self.addEventListener("fetch", (event) => {
    const { request } = event;
    const url = new URL(request.url);
    if (request.method !== "GET" || url.origin !== self.location.origin) return;
    if (request.mode === "navigate") {
      const part = `/${url.pathname.split("/")[1]}`;
      if (told.pages.includes(part)) event.respondWith(page(request));
    } else if (told.files.includes(url.pathname)) {
      event.respondWith(file(request));
    }
  });

  // The browser calls when there is a network again, even if no page is open.
  self.addEventListener("sync", (event) => {
    if (event.tag !== "reports") return;
    event.waitUntil(send(told.addresses).then((outcome) => {
      if (outcome === "away") throw new Error("not yet"); // the browser tries again later
    }));
  });

  self.addEventListener("push", (event) => {
    const message = event.data?.json() ?? {};
    event.waitUntil(self.registration.showNotification(message.title ?? "Lenitive", {
      body: message.body ?? "", tag: message.tag, icon: told.icon,
    }));
  });

  self.addEventListener("notificationclick", (event) => {
    event.notification.close();
    event.waitUntil((async () => {
      const open = await self.clients.matchAll({ type: "window" });
      const ours = open.find((client) => told.pages.includes(`/${new URL(client.url).pathname.split("/")[1]}`));
      return ours ? ours.focus() : self.clients.openWindow("/today");
    })());
  });
};
