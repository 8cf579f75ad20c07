// What the workspace takes from others. Pages import the module that build.mjs makes of this, and nothing else.

import { createElement } from "react";
import htm from "htm";

export {
  Component,
  Fragment,
  createElement,
  memo,
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useReducer,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
export { createRoot } from "react-dom/client";
export { flushSync } from "react-dom";
export { Client } from "@langchain/langgraph-sdk";
export { useStream } from "@langchain/langgraph-sdk/react";
export { lexer } from "marked";

/** Elements from template strings: html`<p class=${kind}>…</p>`. */
export const html = htm.bind(createElement);
