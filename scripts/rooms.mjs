/**
 * The rooms of lib, each with the rooms that it may import, itself and the files of lib's own floor aside. ESLint holds
 * the code to this table, and a test holds the picture in docs/design.md to it.
 *
 * A room that ends in `.ts` is one file that joins rooms beside it.
 * @type {Record<string, string[]>}
 */
export const rooms = {
  'lib/telemetry': [],
  'lib/http': [],
  'lib/docs-page': [],
  'lib/redis': ['lib/telemetry'],
  'lib/mcp/transports': ['lib/telemetry'],
  'lib/mcp/servers-file': ['lib/mcp/transports'],
  'lib/mcp/client': ['lib/redis', 'lib/mcp/transports', 'lib/telemetry'],
  'lib/mcp/server.ts': ['lib/mcp/servers-file', 'lib/mcp/transports', 'lib/mcp/client'],
  'lib/mcp/processes': [
    'lib/mcp/servers-file', 'lib/mcp/transports', 'lib/mcp/client', 'lib/mcp/server.ts', 'lib/telemetry'
  ],
  'lib/mcp/http': [
    'lib/mcp/servers-file', 'lib/mcp/transports', 'lib/mcp/client', 'lib/mcp/server.ts', 'lib/telemetry'
  ],
  'lib/mcp/servers.ts': ['lib/mcp/servers-file', 'lib/mcp/server.ts'],
  'lib/sessions': ['lib/redis', 'lib/mcp/server.ts', 'lib/telemetry'],
  'lib/calls': ['lib/redis', 'lib/sessions'],
  'lib/webhooks': ['lib/redis', 'lib/calls'],
  'lib/results': ['lib/http', 'lib/redis', 'lib/sessions'],
  'lib/tools': ['lib/calls', 'lib/sessions', 'lib/mcp', 'lib/telemetry'],
  'lib/openapi': ['lib/tools'],
  'lib/config': ['lib/http', 'lib/sessions', 'lib/redis']
}
