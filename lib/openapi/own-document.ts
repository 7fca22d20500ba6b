import { type JsonObject, mapValues } from '../json.ts'
import type { OpenApiDocument, Operation, OperationResponse } from './document.ts'
import { type OperationExample, operationExamples } from './examples.ts'
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
  const examples = operationExamples(options)
  return {
    ...document,
    paths: mapValues(paths, operations => mapValues(operations, operation =>
      withExample(finishOperation(operation, options), examples.get(operation.operationId ?? '')))),
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

/** An operation that shows what it is asked and answers. */
function withExample (operation: Operation, example?: OperationExample): Operation {
  if (example === undefined) return operation
  const { parameters, requestBody, responses } = operation
  const { body, parameters: values = {}, answers } = example
  const json = requestBody?.content['application/json']
  return {
    ...operation,
    ...(parameters !== undefined && {
      parameters: parameters.map(parameter =>
        ({ ...parameter, ...(Object.hasOwn(values, parameter.name) && { example: values[parameter.name] }) }))
    }),
    ...(requestBody !== undefined && json !== undefined && body !== undefined && {
      requestBody: {
        ...requestBody, content: { ...requestBody.content, 'application/json': { ...json, example: body } }
      }
    }),
    responses: mapValues(responses, (response, status) =>
      withAnswers(response, answers.filter(answer => String(answer.status) === status)))
  }
}

function withAnswers (response: OperationResponse, answers: OperationExample['answers']): OperationResponse {
  const json = response.content?.['application/json']
  const [first] = answers
  if (json === undefined || first === undefined) return response
  const shown = answers.length === 1
    ? { example: first.value }
    : { examples: Object.fromEntries(answers.map(({ name = 'answer', value }) => [name, { value }])) }
  return { ...response, content: { ...response.content, 'application/json': { ...json, ...shown } } }
}

/** A schema without what only its library knows. */
const plain = (value: object) => JSON.parse(JSON.stringify(value)) as JsonObject
