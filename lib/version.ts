import { createRequire } from 'node:module'

// Through package.json's "imports": the sources and their build in dist/ are not at the same depth.
const manifest = createRequire(import.meta.url)('#package.json') as { name: string, version: string }

/** What this service calls itself to MCP servers. */
export const packageName = manifest.name
export const version = manifest.version
