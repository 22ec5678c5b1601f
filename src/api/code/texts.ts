/** Texts that a session and a message may both have. */
import * as v from "valibot";
import { EFFORTS, type Effort } from "../../shared/settings.ts";
import { Text } from "./fields.ts";

/** Of those that the original does not look at. */
const MAX_UNCHECKED = 20_000;

export const Unchecked = v.nullish(Text(MAX_UNCHECKED));
export const ModelText = v.nullish(Text(100));
export const SystemText = v.nullish(Text(50_000));

/** One that no model knows is shown again and not sent. */
export const effortIn = (text: string): Effort | null =>
  EFFORTS.find((effort) => effort === text) ?? null;
