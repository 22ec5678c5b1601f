/** Settings in the folded state, which holds no content: a schema stays in the row that brought it. */
import type { Row } from "../shared/rows.ts";
import type { ModelSettings, OutputFormat, SettingsChange } from "../shared/settings.ts";

export type PlacedSettings = Omit<ModelSettings, "output_format"> & {
  /** Seq of the row with the output format; null for text. */
  format?: number | null;
};

/** The settings that the row `seq` brought. */
export function placedSettings(settings: ModelSettings | undefined, seq: number): PlacedSettings {
  const { output_format, ...rest } = settings ?? {};
  if (!output_format) return rest;
  return { ...rest, format: output_format.type === "json_schema" ? seq : null };
}

/** The session's settings after the change that the row `seq` brought. */
export function changedSettings(
  before: PlacedSettings,
  change: SettingsChange,
  seq: number,
): PlacedSettings {
  const { output_format, ...rest } = change;
  const after = { ...before, ...rest };
  if (output_format !== undefined) {
    after.format = output_format?.type === "json_schema" ? seq : null;
  }
  // What was taken back to its default is as if it had never been set; the rest has no null.
  return Object.fromEntries(
    Object.entries(after).filter(([, value]) => value !== null),
  ) as PlacedSettings;
}

/** The settings with the format that `rowAt` finds in its row. */
export function wholeSettings(
  { format, ...settings }: PlacedSettings,
  rowAt: (seq: number) => Row | undefined,
): ModelSettings {
  const found = typeof format === "number" ? formatIn(rowAt(format)) : null;
  return found ? { ...settings, output_format: found } : settings;
}

function formatIn(row: Row | undefined): OutputFormat | null {
  switch (row?.type) {
    case "session.created":
    case "session.updated":
      return row.body.config.settings?.output_format ?? null;
    case "input":
      return row.body.options.settings?.output_format ?? null;
    default:
      return null;
  }
}

/** The turn's answer has to be JSON. */
export const isFormatted = ({ format }: PlacedSettings): boolean => typeof format === "number";

/** Clients are not shown what the model thinks in the turn. */
export const hidesThinking = ({ settings }: { settings: PlacedSettings }): boolean =>
  settings.thinking?.display === "omitted";
