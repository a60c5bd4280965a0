(() => {
  const offered = document.body.dataset.languages.split(" ");
  const wanted = (navigator.languages || [navigator.language]).map((tag) => tag.slice(0, 2));
  location.replace((wanted.find((tag) => offered.includes(tag)) || offered[0]) + "/index.html");
})();
