/* Builds the service into dist/. */
import { compile } from './environment.mjs'

compile()
