import { objectText } from '../json-text.ts'
import { maskJson } from '../mask.ts'
import type { ToolFailure } from '../mcp/client/tool-failure.ts'
import type { ToolResult, ToolResultOptions } from './tool-result.ts'

/**
 * The caller's reply to a call that its server answered with an error: what a result with `isError` would have given.
 * Nothing of it fills later calls. MCP's own result, which there is none of, has the error in its `_meta`.
 */
export function readToolFailure (
  failure: ToolFailure, { tool, shape, mask }: Pick<ToolResultOptions, 'tool' | 'shape' | 'mask'>
): ToolResult {
  const error = mask(failure.message) || `Tool ${tool} failed`
  const data = failure.data === undefined ? [] : [['data', maskJson(failure.data, mask)] as const]
  const kept = { outcome: 'tool_error', outputs: new Map<string, string>(), tooMany: [] } as const
  if (shape !== 'mcp') {
    const body = JSON.stringify({ status: 'error', error })
    return { ...kept, body, form: 'text', leftOut: data.map(([name]) => name) }
  }
  const said = objectText([['code', String(failure.code)], ...data])
  const content = JSON.stringify([{ type: 'text', text: error }])
  return {
    ...kept, body: `{"content":${content},"isError":true,"_meta":{"error":${said}}}`, form: 'mcp', leftOut: []
  }
}
