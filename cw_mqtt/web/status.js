// Shows the page anew every few seconds, without losing the place where its reader is.
"use strict";

const REFRESH_MS = 5000;
// Without the login and password that may stand in the page's own address: fetch refuses them.
const ADDRESS = location.origin + location.pathname;

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(ADDRESS, { cache: "no-store", headers: { Accept: "text/html" } });
    if (answer.redirected) location.assign(answer.url); // to log in again
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    document.body.classList.remove("lost");
  } catch {
    document.body.classList.add("lost");
  }
}

setInterval(refresh, REFRESH_MS);
document.addEventListener("visibilitychange", refresh);
