/** What the table of devices was last asked to show; kept while other pages are open. */

import { everything, type View } from "./table";

export const view = $state<View>(everything());
