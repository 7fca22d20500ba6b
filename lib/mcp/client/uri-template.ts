import { UriTemplate } from '@modelcontextprotocol/sdk/shared/uriTemplate.js'

/**
 * Whether a URI can come of a template. Never throws: a template that is none matches nothing.
 * @see https://www.rfc-editor.org/rfc/rfc6570
 */
export function matchesTemplate (template: string, uri: string): boolean {
  try {
    return new UriTemplate(template).match(uri) !== null
  } catch {
    return false
  }
}
