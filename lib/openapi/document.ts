import type { JsonObject } from '../json.ts'

/** The parts of an OpenAPI 3.1 document that this service writes. */
export interface OpenApiDocument {
  openapi: string
  info: JsonObject
  servers?: Array<{ url: string, description?: string }>
  tags?: Array<{ name: string, description: string }>
  paths: Record<string, Record<string, Operation>>
  components: Record<string, JsonObject>
  security?: SecurityRequirement[]
}

export interface Operation {
  operationId?: string
  summary?: string
  description?: string
  tags?: string[]
  parameters?: Array<{ in: string, name: string, required?: boolean, schema?: JsonObject }>
  requestBody?: { required?: boolean, content: Record<string, JsonObject> }
  responses: Record<string, OperationResponse>
  security?: SecurityRequirement[]
}

export interface OperationResponse {
  description: string
  content?: Record<string, { schema: JsonObject, example?: unknown, examples?: JsonObject }>
}

/** Names of security schemes that a request needs together. */
export type SecurityRequirement = Record<string, string[]>

/** A reference to a schema that the document has once. */
export const refTo = (component: string) => ({ $ref: `#/components/schemas/${component}` })
