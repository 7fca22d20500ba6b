import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const read = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8')

/** What the page /docs has beside Swagger UI: a start of its own, and styles that can be read by everybody. */
export const loadTheme = () => ({
  title: 'MCP client service',
  css: [{ filename: 'page.css', content: read('page.css') }],
  js: [{ filename: 'page.js', content: read('page.js') }]
})
