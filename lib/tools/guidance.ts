import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { isJsonObject } from '../json.ts'

/** What the operator wants told to whoever lists the tools. */
export interface Guidance { systemInfo: unknown, workflowGuidance: unknown }

/** Reads MCP_GUIDANCE_FILE: `{"system_info": …, "workflow_guidance": …}`, either may be left out. Throws ConfigError. */
export function readGuidance (file: string): Guidance {
  const path = resolve(file)
  let document: unknown
  try {
    document = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    throw new ConfigError(`MCP_GUIDANCE_FILE must be a JSON file, but ${path} ${error instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read'}`)
  }
  if (!isJsonObject(document)) throw new ConfigError(`MCP_GUIDANCE_FILE must hold a JSON object, but ${path} does not`)
  return { systemInfo: document.system_info ?? null, workflowGuidance: document.workflow_guidance ?? null }
}
