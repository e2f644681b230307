/** All that a person reads on the two pages, in English.
 *
 * A translation is a copy of this file in another language: the build takes `texts/LANG.ts`
 * for `SOFTAXE_PAGE_LANGUAGE=LANG` and the types say what it lacks. One export for each component,
 * in the order of the files; what holds a value is a function of it.
 */

// ---------------------------------------------------------------- both pages

/** Chart.svelte */

/** Units and counts: lib/format.ts */

// ---------------------------------------------------------------- a device's page

/** App.svelte */

/** pages/Dashboard.svelte */

/** lib/problems.ts */

/** pages/Logs.svelte */

/** pages/Screen.svelte */

/** pages/Settings.svelte, Field.svelte, lib/form.svelte.ts, lib/rules.ts */

/** Pools.svelte */

/** pages/Update.svelte */

// ---------------------------------------------------------------- the fleet's page

/** fleet/Fleet.svelte */

/** fleet/Devices.svelte, fleet/table.ts */

/** fleet/Device.svelte: one device of the fleet */

/** fleet/Faults.svelte */

/** fleet/Journal.svelte */

/** fleet/Pool.svelte */

/** fleet/Manage.svelte */

/** fleet/CopyAs.svelte */
export const copyAs = {
  label: "Copy as",
  copied: "copied",
  noStep: "No step of a scenario does this.",
};
