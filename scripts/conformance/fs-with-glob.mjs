/*
 * For `node --import`. The conformance suite imports `globSync` of node:fs, which Node 20 lacks. The client scenarios
 * never call it, so this gives the suite an `fs` that has the name.
 */
import fs from 'node:fs'
import { register } from 'node:module'

const module = text => `data:text/javascript,${encodeURIComponent(text)}`

if (fs.globSync === undefined) {
  const fsWithGlob = module(`
    export * from 'node:fs'
    export const globSync = () => { throw new Error('this Node has no fs.globSync') }
  `)
  register(module(`
    const fs = { url: ${JSON.stringify(fsWithGlob)}, shortCircuit: true }
    export const resolve = (name, context, next) => name === 'fs' ? fs : next(name, context)
  `))
}
