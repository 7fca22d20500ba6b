/** Tools as a large server has them: each with parameters, descriptions, and definitions that refer to one another. */
export const thousandTools = () => Array.from({ length: 1_000 }, (_, index) => ({
  name: `tool_${index}`,
  description: `Does the work of tool ${index}. `.repeat(3),
  inputSchema: {
    type: 'object',
    properties: {
      id: { type: 'string', description: `What tool ${index} is about.` },
      filter: { $ref: '#/$defs/Filter' },
      page: { type: ['integer', 'null'], minimum: 0 }
    },
    required: ['id'],
    $defs: { Filter: { type: 'object', properties: { all: { type: 'array', items: { $ref: '#/$defs/Filter' } } } } }
  },
  outputSchema: { type: 'object', properties: { name: { type: 'string' }, args: { type: 'object' } }, required: ['name'] },
  args: { id: `${index}`, filter: { all: [{}] } }
}))
