(() => {
  const code = document.getElementById("code");
  if (code) {
    code.addEventListener("click", () => {
      code.setAttribute("aria-pressed", document.body.classList.toggle("code"));
    });
  }
  document.getElementById("print").addEventListener("click", () => window.print());
  // Paper cannot be clicked: short tables are open on it, and closed again afterwards.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.cj-table:not([open])")]
      .filter((part) => part.querySelectorAll("tr").length <= 40);
    opened.forEach((part) => { part.open = true; });
  });
  window.addEventListener("afterprint", () => opened.forEach((part) => { part.open = false; }));
  const links = [...document.querySelectorAll(".side .contents a")];
  if (!links.length || !("IntersectionObserver" in window)) return;
  const named = new Map(links.map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.classList.remove("here"));
      named.get(entry.target.id).classList.add("here");
    }
  }, { rootMargin: "0px 0px -70% 0px" });
  for (const id of named.keys()) {
    const heading = document.getElementById(id);
    if (heading) seen.observe(heading);
  }
})();
