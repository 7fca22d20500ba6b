import { memberOf, objectText, readJson, stringMember, textOf } from '../json-text.ts'
import { requiredNames } from '../tools/json-schema.ts'
import { refTo } from './document.ts'
import { schemaParts } from './schema-parts.ts'
import { simpleExample } from './simple-example.ts'
import { typeName } from './tool-ids.ts'

/** A tool, as its operation is described. */
export interface DescribedTool {
  /** The name that callers know it under. */
  name: string
  /** The tool as callers see it, JSON text. */
  text: string
  /** Name of the tag of its server. */
  tag: string
  /** Its replies are its structured content: they have the form of its output schema. */
  givesStructured: boolean
}

/** Texts of members of an object. */
export type Members = Array<readonly [name: string, text: string]>

export interface ToolOperation {
  path: string
  operation: string
  /** Its parts of `components.schemas`: the members of an object, without its braces. */
  components: string[]
}

/** Text of the failure of a tool that ran. */
export const toolFailureName = 'ToolFailure'
/** Any reply of a tool. */
export const toolReplyName = 'ToolReply'

/** Names that clients take for folders, however they are encoded, and what has no encoding. */
export const hasPath = (name: string): boolean => name !== '' && name !== '.' && name !== '..' && !/\p{Cs}/u.test(name)

export const toolPath = (name: string): string => `/tools/${encodeURIComponent(name)}`

/**
 * The operation that calls one tool, with the parts of its schemas. `responses` are the texts of the answers that are
 * the same for all tools, and `security` the text of what a request must carry.
 */
export function describeTool (
  { name, text, tag, givesStructured }: DescribedTool, id: string, { responses, security }: {
    responses: Members
    security: string
  }
): ToolOperation {
  const document = readJson(text)
  const schemaText = (field: string) => {
    const schema = document && memberOf(document.root, field)
    return document === null || schema === null ? null : textOf(document, schema)
  }
  const string = (field: string) => document === null ? '' : stringMember(document, document.root, field) ?? ''
  const type = typeName(id)
  const inputText = schemaText('inputSchema') ?? '{}'
  const input = schemaParts(inputText, `${type}Arguments`) ?? `{"${type}Arguments":{}}`
  const outputText = givesStructured ? schemaText('outputSchema') : null
  const shown = outputText === null ? null : simpleExample(outputText)
  const output = outputText === null
    ? null
    // Validators of examples stumble over the `not` below, so the example is of the schema.
    : schemaParts(outputText, `${type}Result`, shown === null ? undefined : JSON.parse(shown))
  const failure = JSON.stringify(refTo(toolFailureName))
  // Exactly one of them holds, whatever the schema of the result allows.
  const reply = output === null
    ? JSON.stringify(refTo(toolReplyName))
    : `{"oneOf":[{"allOf":[${JSON.stringify(refTo(`${type}Result`))}],"not":${failure}},${failure}]}`
  const summary = string('title').trim() || name
  const description = string('description').trim()
  return {
    path: toolPath(name),
    operation: objectText([
      ['tags', JSON.stringify([tag])],
      ['operationId', JSON.stringify(id)],
      ['summary', JSON.stringify(summary.slice(0, maxSummaryLength))],
      ...(description === '' ? [] : [['description', JSON.stringify(description)] as const]),
      ['requestBody', objectText([
        ['required', String(needsArguments(inputText))],
        ['content', contentText(JSON.stringify(refTo(`${type}Arguments`)), simpleExample(inputText))]
      ])],
      ['responses', objectText([
        ['200', `{"description":"What the tool gives.","content":${contentText(reply, null)}}`],
        ...responses
      ])],
      ['security', security]
    ]),
    components: [input, ...(output === null ? [] : [output])].map(parts => parts.slice(1, -1))
  }
}

const maxSummaryLength = 120

const contentText = (schema: string, example: string | null): string =>
  `{"application/json":{"schema":${schema}${example === null ? '' : `,"example":${example}`}}}`

/** Whether a call without a body lacks an argument. */
const needsArguments = (schemaText: string): boolean =>
  schemaText.includes('"required"') && requiredNames(JSON.parse(schemaText)).length > 0
