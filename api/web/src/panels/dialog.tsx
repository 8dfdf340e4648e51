/** A modal dialog on the browser's own `<dialog>`: focus is kept inside, Escape closes, focus comes back. */

import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { Icon } from "./icons";

let opener: HTMLElement | null = null;

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  foot?: ComponentChildren;
}

export function Dialog({ title, onClose, children, foot }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  const heading = useId();
  // Before the browser paints: a key pressed while one dialog takes the place of another must find one of them open.
  useLayoutEffect(() => {
    const element = box.current!;
    const focused = document.activeElement;
    // A dialog that takes the place of another (its contents have come) goes back to whoever opened that one.
    if (focused instanceof HTMLElement && focused !== document.body && !focused.closest("dialog")) opener = focused;
    element.showModal();
    return () => {
      element.close();
      // The browser gives the focus back only to dialogs that stay in the page, and this one is on its way out.
      requestAnimationFrame(() => {
        if (document.activeElement === document.body) opener?.focus();
      });
    };
  }, []);
  return (
    <dialog
      ref={box}
      class="dialog"
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header class="dialog-head">
        <h2 id={heading}>{title}</h2>
        <button type="button" class="button-bare" aria-label={t("act.close")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="dialog-body">{children}</div>
      {foot && <footer class="dialog-foot">{foot}</footer>}
    </dialog>
  );
}
