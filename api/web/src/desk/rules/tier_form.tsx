import { t, word } from "../../i18n";
import { Icon } from "../../panels/icons";
import { ChoiceField, FaultsOf, More, NumberField, TextField } from "./fields";
import { type CellOf, newPost, type Post, type RuleTier, type TierKind } from "./shapes";

const KINDS: readonly TierKind[] = ["area", "grid", "micro_grid"];
const WAYS: readonly CellOf[] = ["band", "parent", "building"];

interface PostProps {
  field: string;
  post: Post;
  onChange: (post: Post) => void;
  onRemove: () => void;
}

function PostForm({ field, post, onChange, onRemove }: PostProps) {
  const put = (changes: Partial<Post>) => onChange({ ...post, ...changes });
  return (
    <li class="post-form">
      <div class="form-pair">
        <TextField
          label={t("ruleset.post_name")}
          field={`${field}.name_zh`}
          value={post.name_zh}
          onChange={(name_zh) => put({ name_zh })}
        />
        <TextField
          label={t("ruleset.name_en")}
          field={`${field}.name_en`}
          value={post.name_en}
          onChange={(name_en) => put({ name_en })}
        />
      </div>
      <div class="form-three">
        <TextField
          label={t("ruleset.code")}
          field={`${field}.code`}
          value={post.code}
          most={40}
          onChange={(code) => put({ code })}
        />
        <NumberField
          label={t("ruleset.at_least")}
          field={`${field}.holders_min`}
          value={post.holders_min}
          most={1000}
          onChange={(holders_min) => put({ holders_min: holders_min ?? 0 })}
        />
        <NumberField
          label={t("ruleset.at_most")}
          field={`${field}.holders_max`}
          value={post.holders_max}
          most={1000}
          none={t("ruleset.any_number")}
          onChange={(holders_max) => put({ holders_max: holders_max || null })}
        />
      </div>
      <button type="button" class="button-quiet" onClick={onRemove}>
        <Icon name="trash" size={18} />
        {t("ruleset.remove_post", { post: post.name_zh || post.code })}
      </button>
    </li>
  );
}

function Posts({ field, posts, onChange }: { field: string; posts: Post[]; onChange: (posts: Post[]) => void }) {
  return (
    <More label={t("ruleset.posts", { n: posts.length })} fields={field}>
      <FaultsOf field={field} />
      <ul class="post-forms">
        {posts.map((post, n) => (
          <PostForm
            key={n}
            field={`${field}.${n}`}
            post={post}
            onChange={(changed) => onChange(posts.map((one, index) => (index === n ? changed : one)))}
            onRemove={() => onChange(posts.filter((_, index) => index !== n))}
          />
        ))}
      </ul>
      <button type="button" class="button" onClick={() => onChange([...posts, newPost(posts)])}>
        <Icon name="plus" size={18} />
        {t("ruleset.add_post")}
      </button>
    </More>
  );
}

/** The numbers of a tier that is cut by households. */
function Band({ field, tier, put }: { field: string; tier: RuleTier; put: (changes: Partial<RuleTier>) => void }) {
  return (
    <div class="form-four">
      <NumberField
        label={t("ruleset.low")}
        field={`${field}.households_min`}
        value={tier.households_min}
        onChange={(households_min) => put({ households_min })}
      />
      <NumberField
        label={t("ruleset.high")}
        field={`${field}.households_max`}
        value={tier.households_max}
        onChange={(households_max) => put({ households_max })}
      />
      <NumberField
        label={t("ruleset.tolerance")}
        field={`${field}.tolerance_ratio`}
        value={tier.tolerance_ratio}
        times={100}
        most={100}
        step={0.1}
        onChange={(ratio) => put({ tolerance_ratio: ratio ?? 0 })}
      />
      <NumberField
        label={t("ruleset.target")}
        field={`${field}.households_target`}
        value={tier.households_target}
        none={t("ruleset.middle")}
        onChange={(households_target) => put({ households_target })}
      />
    </div>
  );
}

interface Props {
  place: number;
  count: number;
  tier: RuleTier;
  /** How many cells of the tier below make one of this, in words. */
  made: string | null;
  onChange: (tier: RuleTier) => void;
  onMove: (by: -1 | 1) => void;
  onRemove: () => void;
}

export function TierForm({ place, count, tier, made, onChange, onMove, onRemove }: Props) {
  const field = `tiers.${place}`;
  const put = (changes: Partial<RuleTier>) => onChange({ ...tier, ...changes });
  const name = tier.name_zh || t("ruleset.tier_n", { n: place + 1 });
  return (
    <fieldset class={`tier-form tier-form-${tier.kind}`}>
      <legend>
        <span class="tier-place">{place + 1}</span> {name}
      </legend>
      <div class="form-three">
        <TextField
          label={t("ruleset.name_zh")}
          field={`${field}.name_zh`}
          value={tier.name_zh}
          onChange={(name_zh) => put({ name_zh })}
        />
        <TextField
          label={t("ruleset.name_en")}
          field={`${field}.name_en`}
          value={tier.name_en}
          onChange={(name_en) => put({ name_en })}
        />
        <ChoiceField
          label={t("ruleset.kind")}
          field={`${field}.kind`}
          value={tier.kind}
          choices={KINDS}
          say={(kind) => word("ruleset_kind", kind)}
          onChange={(kind) => put({ kind })}
        />
      </div>
      {tier.kind !== "area" && (
        <>
          <ChoiceField
            label={t("ruleset.cell_of")}
            field={`${field}.cell_of`}
            value={tier.cell_of}
            choices={WAYS}
            say={(way) => word("ruleset_cell_of", way)}
            onChange={(cell_of) => put({ cell_of })}
          />
          {tier.cell_of === "band" && <Band field={field} tier={tier} put={put} />}
          {made && <p class="tier-made">{made}</p>}
          <NumberField
            label={t("ruleset.digits")}
            field={`${field}.code_digits`}
            value={tier.code_digits}
            most={6}
            onChange={(digits) => put({ code_digits: digits ?? 0 })}
          />
        </>
      )}
      <Posts field={`${field}.posts`} posts={tier.posts} onChange={(posts) => put({ posts })} />
      <div class="tier-acts">
        <button type="button" class="button-quiet" disabled={place === 0} onClick={() => onMove(-1)}>
          <Icon name="arrow" size={18} />
          {t("ruleset.up")}
          <span class="read-only">{name}</span>
        </button>
        <button type="button" class="button-quiet" disabled={place === count - 1} onClick={() => onMove(1)}>
          <Icon name="arrow" turn={180} size={18} />
          {t("ruleset.down")}
          <span class="read-only">{name}</span>
        </button>
        <button type="button" class="button-quiet" onClick={onRemove}>
          <Icon name="trash" size={18} />
          {t("ruleset.remove")}
          <span class="read-only">
            {word("ruleset_kind", tier.kind)} {name}
          </span>
        </button>
      </div>
    </fieldset>
  );
}
