// Tells the server the browser's time zone, for those who have not chosen one.

/** Keep it in a cookie, which the next page is made with. */
export function tellZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const root = document.documentElement.dataset.root || "/";
  if (zone) document.cookie = `deerflow_zone=${zone}; path=${root}; max-age=31536000; samesite=lax`;
}
