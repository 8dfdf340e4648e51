// The little that the report page does by itself: popups, going to a cell, and the language.
const wangge = (() => {
  const cells = new Map();
  const words = {
    code: ["编码", "Code"],
    community: ["社区", "Community"],
    households: ["户数", "Households"],
    area_m2: ["面积", "Area"],
    floors: ["楼层", "Floors"],
    in_band: ["达标", "in band"],
    under: ["不足", "too few"],
    over: ["超出", "too many"],
  };
  const shown = () => (document.body.classList.contains("show-en") ? 1 : 0);
  const word = (key) => words[key][shown()];

  // Text only, never HTML: names come from files.
  const row = (table, heading, value, isOut) => {
    const line = table.insertRow();
    const head = document.createElement("th");
    head.textContent = heading;
    line.append(head);
    const cell = line.insertCell();
    cell.textContent = value;
    if (isOut) cell.className = "out";
  };

  const popup = (feature) => {
    const box = document.createElement("div");
    const heading = document.createElement("strong");
    heading.textContent = feature.properties.tier[shown()];
    box.append(heading);
    for (const told of feature.properties.cells) {
      box.append(document.createElement("hr"));
      const table = document.createElement("table");
      row(table, word("code"), told.code);
      row(table, word("community"), told.community);
      row(table, word("households"), `${told.households} (${word(told.state)})`, told.state !== "in_band");
      if ("area_m2" in told) row(table, word("area_m2"), `${told.area_m2.toLocaleString()} m²`);
      if ("floor_from" in told || "floor_to" in told)
        row(table, word("floors"), `${told.floor_from ?? ""}–${told.floor_to ?? ""}`);
      box.append(table);
    }
    return box;
  };

  const cell = (feature, layer) => {
    layer.bindPopup(() => popup(feature), { maxHeight: 320 });
    for (const told of feature.properties.cells) cells.set(told.code, layer);
  };

  const go = (map, code) => {
    const layer = cells.get(code);
    if (!layer) return;
    // A cell of a tier that is switched off is shown for this.
    if (!map.hasLayer(layer)) layer.addTo(map);
    map.fitBounds(layer.getBounds(), { maxZoom: 18, animate: false });
    layer.openPopup();
  };

  const speak = (language) => {
    document.body.classList.remove("show-zh", "show-en");
    document.body.classList.add(`show-${language}`);
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  };

  const start = (map, bounds, language) => {
    speak(language);
    map.attributionControl.remove();
    map.invalidateSize();
    map.fitBounds(bounds);
    document.getElementById("language").addEventListener("click", () => {
      map.closePopup();
      speak(shown() ? "zh" : "en");
    });
    document.getElementById("panel").addEventListener("click", (event) => {
      const item = event.target.closest("[data-cell]");
      if (item?.dataset.cell) go(map, item.dataset.cell);
    });
  };

  return { cell, start };
})();
