import { type JsonObject, mapValues } from '../json.ts'
import type { OpenApiDocument, Operation } from './document.ts'
import { type FailureOptions, type FailureSchema, type ProblemSchema, withFailures } from './failures.ts'
import { isSessionHeader, type SecurityOptions, securityOf, securitySchemes, sessionPlaceOf } from './security.ts'

export interface OwnDocumentOptions extends SecurityOptions, Omit<FailureOptions, 'needsKey'> {
  /** The bodies of failures, and those of tools. */
  bodies: Record<FailureSchema | ProblemSchema | 'ToolFailure' | 'ToolReply', object>
}

/** The description of the service's own operations, from what its routes say of themselves. */
export function finishDocument (document: OpenApiDocument, options: OwnDocumentOptions): OpenApiDocument {
  const { paths, components } = document
  const { bodies } = options
  return {
    ...document,
    paths: mapValues(paths, operations => mapValues(operations, operation =>
      finishOperation(operation, options))),
    components: {
      ...components,
      schemas: { ...components.schemas, ...plain(bodies) },
      securitySchemes: securitySchemes(options)
    }
  }
}

function finishOperation (operation: Operation, options: OwnDocumentOptions): Operation {
  const isProbe = operation.security !== undefined
  const { parameters, ...rest } = operation
  const others = parameters?.filter(parameter => !isSessionHeader(parameter)) ?? []
  return {
    ...withFailures(rest, { ...options, needsKey: options.needsKey && !isProbe }),
    ...(others.length > 0 && { parameters: others }),
    security: isProbe ? [] : securityOf(sessionPlaceOf(operation), options)
  }
}

/** A schema without what only its library knows. */
const plain = (value: object) => JSON.parse(JSON.stringify(value)) as JsonObject
