import { MissingCredentialError, ToolArgumentsError } from '../errors.ts'
import type { ArgumentFault } from './argument-check.ts'
import type { CatalogTool } from './tool-catalog.ts'

/** A call of a tool that declares a credential that its server may not have. */
export function refusedCredential (exposedName: string, credential: string, { server }: CatalogTool): Error {
  const message = `Tool ${exposedName} declares the credential ${credential}, ` +
    `which the servers file does not give to MCP server ${server}`
  return Object.assign(new MissingCredentialError(server, credential, ''), { message, acted: 'no' })
}

/** A call whose arguments do not fit their schema, and that is not made. Names where, and quotes no value. */
export function unfitArguments (exposedName: string, faults: readonly ArgumentFault[]): Error {
  const sentences = faults.map(({ pointer, message }) => `${pointer === '' ? 'they' : pointer} ${message}`)
  return Object.assign(new ToolArgumentsError(exposedName, sentences.join('; ')), {
    arguments: faults.map(({ pointer, message }) => ({ pointer, message }))
  })
}
