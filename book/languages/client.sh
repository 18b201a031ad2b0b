#!/bin/sh
# Call an endpoint and log a run about it, with curl.
set -eu

invocations="$DATABRICKS_HOST/serving-endpoints/flowers/invocations"
mlflow="$DATABRICKS_HOST/api/2.0/mlflow"

call() { # an address, and curl's other options
  curl --silent --show-error --fail-with-body \
    --header "Authorization: Bearer $DATABRICKS_TOKEN" \
    --header "Content-Type: application/json" "$@"
}
field() { # the text of a field, from JSON on standard input
  sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" | head -n 1
}
now() { # in milliseconds
  date +%s000
}

# 1. ask the endpoint
answer=$(call "$invocations" --data @flowers.json)
echo "answer  $answer"

# 2. count what is right
right=0
set -- setosa versicolor virginica
for species in $(echo "$answer" | cut -d : -f 2 | tr -d '[]}"' | tr , ' ')
do
  if [ "$species" = "$1" ]; then right=$((right + 1)); fi
  shift
done
echo "right   $right of 3"

# 3. a run, its parameter and its metric
name=flowers-by-language
experiment=$(call "$mlflow/experiments/get-by-name?experiment_name=$name" |
  field experiment_id)

run=$(call "$mlflow/runs/create" --data @- <<JSON | field run_id
{
  "experiment_id": "$experiment",
  "run_name": "asked-with-curl",
  "start_time": $(now),
  "tags": [{"key": "language", "value": "curl"}]
}
JSON
)
call "$mlflow/runs/log-parameter" --output /dev/null --data @- <<JSON
{"run_id": "$run", "key": "endpoint", "value": "flowers"}
JSON
call "$mlflow/runs/log-metric" --output /dev/null --data @- <<JSON
{"run_id": "$run", "key": "right", "value": $right, "timestamp": $(now)}
JSON

# 4. the run ends
call "$mlflow/runs/update" --output /dev/null --data @- <<JSON
{"run_id": "$run", "status": "FINISHED", "end_time": $(now)}
JSON

echo "run     $(call "$mlflow/runs/get?run_id=$run" | field status)"
