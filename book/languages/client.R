# Call an endpoint and log a run about it, from R.
# Debian's r-base-core, r-cran-httr and r-cran-jsonlite are all it needs.
library(httr)

host <- Sys.getenv("DATABRICKS_HOST")
bearer <- paste("Bearer", Sys.getenv("DATABRICKS_TOKEN"))
headers <- add_headers(
  Authorization = bearer, "Content-Type" = "application/json"
)

text_of <- function(answer) {
  stop_for_status(answer, task = content(answer, "text", encoding = "UTF-8"))
  content(answer, "text", encoding = "UTF-8")
}
mlflow <- function(call, ...) {
  url <- paste0(host, "/api/2.0/mlflow/", call)
  body <- jsonlite::toJSON(list(...), auto_unbox = TRUE, digits = NA)
  jsonlite::fromJSON(text_of(POST(url, headers, body = body)))
}
mlflow_get <- function(call, ...) {
  url <- paste0(host, "/api/2.0/mlflow/", call)
  jsonlite::fromJSON(text_of(GET(url, headers, query = list(...))))
}
now <- function() round(as.numeric(Sys.time()) * 1000) # milliseconds

# 1. ask the endpoint
answer <- text_of(POST(
  paste0(host, "/serving-endpoints/flowers/invocations"),
  headers, body = upload_file("flowers.json")
))
cat("answer ", answer, "\n")

# 2. count what is right
predicted <- jsonlite::fromJSON(answer)$predictions
right <- sum(predicted == c("setosa", "versicolor", "virginica"))
cat("right  ", right, "of 3\n")

# 3. a run, its parameter and its metric
experiment <- mlflow_get(
  "experiments/get-by-name", experiment_name = "flowers-by-language"
)$experiment
run <- mlflow(
  "runs/create",
  experiment_id = experiment$experiment_id,
  run_name = "asked-from-R",
  start_time = now(),
  tags = list(list(key = "language", value = "R"))
)$run$info$run_id

invisible(mlflow(
  "runs/log-parameter", run_id = run, key = "endpoint", value = "flowers"
))
invisible(mlflow(
  "runs/log-metric",
  run_id = run, key = "right", value = right, timestamp = now()
))

# 4. the run ends
invisible(mlflow(
  "runs/update", run_id = run, status = "FINISHED", end_time = now()
))
cat("run    ", mlflow_get("runs/get", run_id = run)$run$info$status, "\n")
