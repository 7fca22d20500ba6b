/*
 * For `node --import`: the conformance suite imports `globSync` of node:fs, which Node 20 does not have and of which the client
 * scenarios make no use. It gets an `fs` that has the name.
 */
import fs from 'node:fs'
import { register } from 'node:module'

const module = text => `data:text/javascript,${encodeURIComponent(text)}`

if (fs.globSync === undefined) {
  const fsWithGlob = module("export * from 'node:fs'\nexport const globSync = () => { throw new Error('this Node has no fs.globSync') }")
  register(module(`export const resolve = (name, context, next) => name === 'fs' ? { url: ${JSON.stringify(fsWithGlob)}, shortCircuit: true } : next(name, context)`))
}
