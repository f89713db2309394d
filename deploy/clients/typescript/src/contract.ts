/** Keys and values of docs/redis.md, version 1. */

import { UnreadableValueError } from "./errors.js";

/**
 * One recommended item. `reason` is a sentence for the shopper. `propensity`: how likely it was to
 * stand at its place; below 1 where the list explores.
 */
export interface ListItem {
  readonly id: string;
  readonly score: number;
  readonly reason: string;
  readonly propensity: number;
}

/** A list, best first; `generated_at` in Unix milliseconds, `variant` "" outside of experiments. */
export interface RecommendationList {
  readonly version: number;
  readonly model: string;
  readonly generated_at: number;
  readonly items: readonly ListItem[];
  readonly variant: string;
}

/** What the shop says of an item; `price` in its currency, null where it is not known. */
export interface Item {
  readonly id: string;
  readonly title: string;
  readonly category: string;
  readonly department: string;
  readonly price: number | null;
  readonly inStock: boolean;
}

export const TRENDING_KEY = "endcap:trending";
export const ITEM_FIELDS = ["title", "category", "department", "price", "in_stock"];

// The braces are Redis Cluster's hash tags, and part of the key.
export const recKey = (user: string): string => `endcap:rec:{${user}}`;
export const similarKey = (item: string): string => `endcap:similar:{${item}}`;
export const itemKey = (item: string): string => `endcap:item:{${item}}`;

/** Undefined for a category whose key would be that of a store. */
export const categoryKey = (category: string): string | undefined =>
  category.startsWith("store:") ? undefined : `${TRENDING_KEY}:${category}`;

/**
 * A list from its JSON; fields that a later endcap adds are no matter. `place`: the key without an
 * id, for the message.
 *
 * @throws UnreadableValueError: the value is no list.
 */
export function decodeList(value: string, place: string): RecommendationList {
  let list: unknown;
  try {
    list = JSON.parse(value);
  } catch (error) {
    throw unreadable(place, String(error));
  }
  if (!isList(list)) throw unreadable(place, "a field is missing or of another type");
  const { version, model, generated_at, variant = "" } = list;
  const items = list.items.map(({ id, score, reason, propensity = 1 }) => ({ id, score, reason, propensity }));
  return { version, model, generated_at, items, variant };
}

/**
 * An item from the values of `ITEM_FIELDS`; undefined where it is not known.
 *
 * @throws UnreadableValueError: the price is no number.
 */
export function decodeItem(id: string, row: readonly (string | null)[]): Item | undefined {
  const [title, category, department, price, inStock] = row;
  if (title === null || title === undefined) return undefined;
  const amount = price ? Number(price) : null;
  if (amount !== null && !Number.isFinite(amount)) throw unreadable("endcap:item:{<item>}", "its price is no number");
  return {
    id,
    title,
    category: category ?? "",
    department: department ?? "",
    price: amount,
    inStock: inStock !== "0",
  };
}

/** As it lies in Redis: what is as it is for nearly all lists is left out. */
interface WrittenItem extends Omit<ListItem, "propensity"> {
  readonly propensity?: number;
}

interface WrittenList extends Omit<RecommendationList, "items" | "variant"> {
  readonly items: readonly WrittenItem[];
  readonly variant?: string;
}

function isList(value: unknown): value is WrittenList {
  return (
    isObject(value) &&
    Number.isInteger(value["version"]) &&
    typeof value["model"] === "string" &&
    Number.isInteger(value["generated_at"]) &&
    isOf("string", value["variant"]) &&
    Array.isArray(value["items"]) &&
    value["items"].every(isListItem)
  );
}

function isListItem(value: unknown): value is WrittenItem {
  return (
    isObject(value) &&
    typeof value["id"] === "string" &&
    typeof value["score"] === "number" &&
    typeof value["reason"] === "string" &&
    isOf("number", value["propensity"])
  );
}

/** Or left out. */
function isOf(type: "string" | "number", value: unknown): boolean {
  return value === undefined || typeof value === type;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function unreadable(place: string, why: string): UnreadableValueError {
  return new UnreadableValueError(
    `The value at ${place} is not one of the contract (${why}). Only endcap may write there: see ` +
      "docs/redis.md.",
  );
}
