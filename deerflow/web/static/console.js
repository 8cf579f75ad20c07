// What a script adds to all pages: lists that stay up to date, menus that close, text that is copied by a click.
// Without it everything can still be done.

import { keepCopying } from "./copy.js";
import { keepCount } from "./count.js";
import { keepLive } from "./live.js";
import { keepMenus } from "./menu.js";
import { tellZone } from "./zone.js";

keepMenus();
keepCopying();
keepLive();
keepCount();
tellZone();
