import "../style/base.css";
import { type ComponentType, render } from "preact";

export function mount(Page: ComponentType): void {
  render(<Page />, document.getElementById("page")!);
}
