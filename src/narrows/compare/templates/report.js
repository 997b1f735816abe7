"use strict";
// Without this script the page says the same; it only sorts tables and flicks crops where nothing can hover.
document.documentElement.classList.add("js");
for (const flick of document.querySelectorAll(".flick")) {
  flick.addEventListener("click", () => {
    flick.setAttribute("aria-pressed", flick.getAttribute("aria-pressed") !== "true");
  });
}
