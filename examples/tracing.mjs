/*
 * Loads OpenTelemetry's SDK before the service, which then makes spans: see docs/traces.md.
 *
 * OTEL_EXPORTER_OTLP_ENDPOINT says where the spans go, and OTEL_SERVICE_NAME what the service is called there. See
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ for the others.
 */
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

process.env.OTEL_SERVICE_NAME ??= 'mcp-client'

const provider = new NodeTracerProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())]
})
provider.register()
