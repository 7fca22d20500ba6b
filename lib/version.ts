import { createRequire } from 'node:module'

// package.json's "imports" finds it from the sources and from dist/, which are not at the same depth.
const manifest = createRequire(import.meta.url)('#package.json') as { name: string, version: string }

/** The name and version that MCP servers are given. */
export const packageName = manifest.name
export const version = manifest.version
