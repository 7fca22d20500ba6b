/* Writes docs/servers-file.schema.json, which a test holds against the fields that the service checks. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compile, root } from './environment.mjs'

compile()
const { editorSchema } = await import('../dist/lib/mcp/servers-file/editor-schema.js')
writeFileSync(join(root, 'docs', 'servers-file.schema.json'), `${JSON.stringify(editorSchema(), null, 2)}\n`)
