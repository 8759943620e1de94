// Buttons of which one is chosen.

/**
 * @param {string} name Of their attribute, `data-NAME`, which holds the value.
 * @param {(value: string) => void} choose Told what was chosen.
 */
export function choices(name, choose) {
  const buttons = Array.from(document.querySelectorAll(`[data-${name}]`));
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      choose(button.dataset[name]);
    });
  }
}
