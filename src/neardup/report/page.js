"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const steps = JSON.parse(byId("steps").textContent);
  const words = new Intl.NumberFormat("en");

  const showStep = () => {
    const [threshold, removed, exact] = steps[Number(byId("slider").value)];
    byId("threshold").textContent = String(threshold);
    byId("would").textContent = `${exact ? "" : "at least "}${words.format(removed)} removed`;
    for (const pair of document.querySelectorAll(".pair")) {
      pair.querySelector(".verdict").textContent = Number(pair.dataset.similarity) >= threshold ? `a match at ${threshold}` : `no match at ${threshold}`;
    }
  };
  byId("slider").addEventListener("input", showStep);
  showStep();

  const search = () => {
    const wanted = byId("search").value.toLowerCase();
    let found = 0;
    for (const item of document.querySelectorAll(".found")) {
      const here = item.textContent.toLowerCase().includes(wanted);
      item.hidden = !here;
      found += here;
    }
    byId("found").textContent = wanted ? `${words.format(found)} found` : "";
  };
  byId("search").addEventListener("input", search);

  const theme = byId("theme");
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => {
    theme.textContent = dark() ? "Light" : "Dark";
    theme.setAttribute("aria-pressed", String(dark()));
  };
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    name();
  });
  name();
})();
