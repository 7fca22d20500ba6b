import { resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { isJsonObject } from '../json.ts'
import { readJsonFile } from '../json-file.ts'

/** The operator's guidance for callers who list the tools. */
export interface Guidance { systemInfo: unknown, workflowGuidance: unknown }

/** Reads MCP_GUIDANCE_FILE, `{"system_info": …, "workflow_guidance": …}`; either may be absent. Throws ConfigError. */
export function readGuidance (file: string): Guidance {
  const path = resolve(file)
  let document: unknown
  try {
    document = readJsonFile(path).value
  } catch (error) {
    const fault = error instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read'
    throw new ConfigError(`MCP_GUIDANCE_FILE must be a JSON file, but ${path} ${fault}`)
  }
  if (!isJsonObject(document)) throw new ConfigError(`MCP_GUIDANCE_FILE must hold a JSON object, but ${path} does not`)
  return { systemInfo: document.system_info ?? null, workflowGuidance: document.workflow_guidance ?? null }
}
