/** Tools and acts as buttons, large enough for a finger; each says its key. */

import { t, word } from "../i18n";
import { Icon, type IconName } from "../panels/icons";
import { useValue } from "../state/value";
import { act, asked, COMMANDS, redo, TOOLS, undo } from "./commands";
import { BRUSH_SIZES, type Hand } from "./hand";
import { cellName } from "./names";
import type { DeskState } from "./state";

interface ButtonProps {
  icon: IconName;
  label: string;
  keys: string;
  pressed?: boolean;
  disabled?: boolean;
  onPress: () => void;
}

function ToolButton({ icon, label, keys, pressed, disabled, onPress }: ButtonProps) {
  return (
    <button
      type="button"
      class="tool"
      aria-label={label}
      aria-keyshortcuts={keys.replace("Ctrl", "Control")}
      aria-pressed={pressed}
      disabled={disabled}
      data-tip={`${label}  ${keys}`}
      onClick={onPress}
    >
      <Icon name={icon} />
    </button>
  );
}

/** The modes of the hand, undo and redo. */
export function Toolbar({ desk }: { desk: DeskState }) {
  const tool = useValue(desk.tool);
  const undoing = useValue(desk.undoStep);
  const redoing = useValue(desk.redoStep);
  const unsent = useValue(desk.unsent);
  const shown = desk.mayEdit ? TOOLS : TOOLS.slice(0, 2);
  useValue(desk.revision);
  const allLocked = desk.lockedAll;
  return (
    <div class="toolbar" role="toolbar" aria-label={t("desk.tools")} aria-orientation="vertical">
      {shown.map(({ tool: name, icon, key }) => (
        <ToolButton
          key={name}
          icon={icon}
          label={word("desk_tool", name)}
          keys={key.toUpperCase()}
          pressed={tool === name}
          onPress={() => desk.tool.set(name)}
        />
      ))}
      {desk.mayEdit && (
        <>
          <hr />
          <ToolButton
            icon="undo"
            label={word("desk_key", "undo")}
            keys="Ctrl+Z"
            disabled={!undoing.can && unsent === 0}
            onPress={() => undo(desk)}
          />
          <ToolButton
            icon="redo"
            label={word("desk_key", "redo")}
            keys="Ctrl+Y"
            disabled={!redoing.can}
            onPress={() => redo(desk)}
          />
          <ToolButton
            icon={allLocked ? "unlock" : "lock"}
            label={allLocked ? t("desk.unlock_all") : t("desk.lock_all")}
            keys="Shift+K"
            onPress={() => act(desk, { kind: allLocked ? "unlock" : "lock", all: true })}
          />
        </>
      )}
      <ToolButton icon="help" label={word("desk_key", "help")} keys="?" onPress={() => asked.set("help")} />
    </div>
  );
}

/** How wide the brush is and what it takes. */
export function BrushBar({ desk, hand }: { desk: DeskState; hand: Hand }) {
  const tool = useValue(desk.tool);
  const brush = useValue(hand.brush);
  const { cells } = useValue(desk.selection);
  useValue(desk.revision);
  if (tool !== "paint" && tool !== "lasso" && tool !== "pick") return null;
  const active = cells.length === 1 ? desk.board.cells.get(cells[0]) : undefined;
  return (
    <fieldset class="brush-bar" aria-label={t("desk.brush")}>
      {tool === "paint" && (
        <>
          <span class="brush-into">
            {active ? t("desk.brush_into", { cell: cellName(desk.board, active) }) : t("desk.brush_auto")}
          </span>
          <span class="segments">
            {BRUSH_SIZES.map((radius, index) => (
              <button
                key={radius}
                type="button"
                aria-pressed={brush.radius === radius}
                aria-label={index === 0 ? t("desk.brush_one") : t("desk.brush_size", { n: index })}
                onClick={() => hand.brush.set({ ...brush, radius })}
              >
                <span class="brush-dot" style={{ width: `${4 + index * 6}px`, height: `${4 + index * 6}px` }} />
              </button>
            ))}
          </span>
        </>
      )}
      <label>
        <input
          type="checkbox"
          checked={brush.whole}
          onChange={(event) => hand.brush.set({ ...brush, whole: event.currentTarget.checked })}
        />
        {t("desk.brush_whole")}
      </label>
      {tool !== "pick" && (
        <label>
          <input
            type="checkbox"
            checked={brush.land}
            onChange={(event) => hand.brush.set({ ...brush, land: event.currentTarget.checked })}
          />
          {t("desk.brush_land")}
        </label>
      )}
    </fieldset>
  );
}

/** What can be done with the selection now. */
export function ActBar({ desk }: { desk: DeskState }) {
  const { cells, faces } = useValue(desk.selection);
  useValue(desk.revision);
  if (!desk.mayEdit || cells.length + faces.length === 0) return null;
  return (
    <div class="act-bar" role="toolbar" aria-label={t("desk.acts")}>
      {COMMANDS.filter(({ can }) => can(desk)).map(({ name, icon, key, run }) => (
        <button key={name} type="button" class="act" aria-keyshortcuts={key.toUpperCase()} onClick={() => run(desk)}>
          <Icon name={icon} size={18} />
          {word("desk_act", name)}
          <kbd>{key.toUpperCase()}</kbd>
        </button>
      ))}
    </div>
  );
}
