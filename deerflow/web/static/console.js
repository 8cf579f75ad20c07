// What a script adds to all pages: lists that stay up to date, menus that close, text that is
// copied by a click, and word of a session that has ended.
// Without it everything can still be done.

import { keepAll } from "./all.js";
import { keepCopying } from "./copy.js";
import { keepCount } from "./count.js";
import { keepLive } from "./live.js";
import { keepMenus } from "./menu.js";
import { keepSession } from "./session.js";
import { tellZone } from "./zone.js";

keepMenus();
keepAll();
keepCopying();
keepLive();
keepSession();
keepCount();
tellZone();
