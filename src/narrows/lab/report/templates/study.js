"use strict";
// Without this script the page says the same: every position of a slider stands below the one before.
document.documentElement.classList.add("js");
for (const slider of document.querySelectorAll(".slider")) {
  const sizes = slider.dataset.sizes.split(" ").map(Number);
  const knobs = [...slider.querySelectorAll("input[type=range]")];
  const turned = sizes.map((size, axis) => (size > 1 ? axis : -1)).filter((axis) => axis >= 0);
  const positions = [...slider.querySelectorAll(".position")];
  const show = () => {
    const at = sizes.map(() => 0);
    knobs.forEach((knob, index) => {
      const stop = knob.dataset.stops.split("|")[knob.value];
      at[turned[index]] = Number(knob.value);
      knob.setAttribute("aria-valuetext", stop);
      knob.parentElement.querySelector("output").textContent = stop;
    });
    const place = at.reduce((sum, step, axis) => sum * sizes[axis] + step, 0);
    positions.forEach((position, index) => position.classList.toggle("now", index === place));
  };
  knobs.forEach((knob) => knob.addEventListener("input", show));
  show();
}
